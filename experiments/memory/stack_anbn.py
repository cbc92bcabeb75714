"""Words a^n b^n, and three times as long as learnt, by two stacks: Joulin and Mikolov 2015.

    python launch.py --experiment=stack_anbn
    python launch.py compare --experiment=stack_anbn --seed=0,1,2    # beside an LSTM and an Elman

The network reads a word and predicts its next symbol; n is at most 20 in training, and each from 1
to 60 in the test. `exact_match` is the share of the n whose every certain symbol, each b after the
first and the end, is right, as in Table 2 of the paper: 1/3 are those of training. As there, units
do not see those of the step before, so that all memory is in the stacks. A picture shows the
actions and the tops of the stacks along a word.

Measured: pending.
"""

from nets.data.counting import Counting
from nets.elman import Elman
from nets.layers.recurrent_cell import Cell
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.sequence import ManyToMany
from nets.stack_rnn import StackRNN
from nets.tasks.next_symbol import NextSymbol
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["stacks"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    return {
        "stacks": _trained(StackRNN(20, stacks=2, size=64, recurrent=False)),
        "lstm": _trained(LSTM(7)),
        "elman": _trained(Elman(15), 0.02),
    }


def _trained(cell: Cell, learning_rate: float = 0.05) -> Experiment:
    return Experiment(
        model=ManyToMany(cell=cell),
        task=NextSymbol(),
        data=Counting(batch_size=16, eval_batch_size=60),
        optimizer=Optimizer(Adam(), learning_rate, clip_norm=1.0),
        steps=5000,
        eval_every=500,
        save_every=1000,
        monitor="loss",
    )
