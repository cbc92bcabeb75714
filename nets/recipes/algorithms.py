"""The recipe that experiments with Turing machines share."""

from nets.data.algorithms import BitProblem
from nets.lstm import LSTM
from nets.ntm import NTM, MemoryRNN
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.answer_bits import AnswerBits
from nets.train.experiment import Experiment


def compared(
    data: BitProblem, steps: int, units: int, layers: int = 3, heads: int = 1
) -> dict[str, Experiment]:
    """Turing machines with both controllers, and the LSTM of the paper.

    Args:
        data: the problem.
        steps: updates.
        units: units of each layer of the LSTM.
        layers: layers of the LSTM.
        heads: heads of a Turing machine that read; as many write.
    """
    machine = NTM(100, read_heads=heads, write_heads=heads)
    models = {
        "feedforward": MemoryRNN(cell=machine),
        "lstm controller": MemoryRNN(cell=machine.clone(controller="lstm")),
        "lstm": MemoryRNN(cell=LSTM(units), layers=layers),
    }
    return {
        name: Experiment(
            model=model,
            task=AnswerBits(),
            data=data,
            optimizer=Optimizer(
                Adam(), 3e-4 if name == "lstm" else 1e-3, Cosine(), warmup=100, clip_norm=10.0
            ),
            steps=steps,
            eval_every=500,
            save_every=1000,
            monitor="loss",
        )
        for name, model in models.items()
    }
