"""A symbol to be remembered for 200 steps of distraction: how far a memory reaches.

    python launch.py --experiment=delayed_recall
    python launch.py --experiment=delayed_recall --data.distance=2000 --model.cell.chrono=2000
    python launch.py --experiment=delayed_recall --model.cell=elman

By guessing, one of eight is right and the loss is ln(8) = 2.08. The forget gates start with lags of
up to the distance (Tallec and Ollivier 2018).

Measured: every symbol of the test set recalled (accuracy 1.0); 45 s.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.sequences import Recall
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.sequence import ManyToMany
from nets.tasks.sequence import TagSequence
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=ManyToMany(cell=LSTM(64, chrono=200)),
        task=TagSequence(),
        data=Recall(distance=200, batch_size=64),
        optimizer=Optimizer(Adam(), 5e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=500,
        eval_every=100,
        save_every=500,
        monitor="loss",
    )
