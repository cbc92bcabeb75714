"""Truncated back-propagation: the steps back that a dependency of 63 steps needs, and their cost.

    python launch.py compare --experiment=truncation --seed=0,1,2

The target is the symbol of 63 steps before, so that only a gradient that passes back through 64
steps reaches it. Either each step's gradient passes k2 steps back (k1 = 1, Williams and Peng 1990:
the k2 steps run again for each), or the sequence falls into segments of k2 steps (k1 = k2).

Measured: accuracy 0.951 +- 0.085 with k2 = 64, both ways, and 0.130 to 0.145 with k2 = 1, 2, 4, 8,
16 or 32: chance is 0.125. A step takes 4, 16, 31, 39, 60 and 106 ms for those six where k1 = 1, and
about 2 ms whatever k2 where k1 = k2; k2 = 64, all steps, has nothing to run again.
Mean and standard deviation of seeds 0, 1, 2; 1 to 33 s a run, 10 min in all. One core of an AMD
EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.data.sequences import Recall
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.sequence import ManyToMany
from nets.tasks.sequence import TagSequence
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=ManyToMany(cell=LSTM(32, chrono=64)),
        task=TagSequence(),
        data=Recall(distance=63, batch_size=32),
        optimizer=Optimizer(Adam(), 1e-2, clip_norm=1.0),
        steps=300,
        eval_every=300,
        save_every=300,
        monitor="loss",
    )


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    steps = (1, 2, 4, 8, 16, 32, 64)
    tasks = {f"each step k2={k2}": TagSequence(k1=1, k2=k2) for k2 in steps}
    tasks |= {f"in segments k2={k2}": TagSequence(k1=k2) for k2 in steps}
    return {name: dataclasses.replace(experiment(), task=task) for name, task in tasks.items()}
