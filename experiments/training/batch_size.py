"""Batch size and step size against the steps and the time to 97%.

    python launch.py compare --experiment=batch_size --seed=0,1,2

Each run ends at the first validation accuracy of 0.97. A larger batch bears, and needs, a larger
step size; more than that it hardly saves steps, and each is dearer.

Measured: steps to 0.97 with batches of 16, 64 and 256 are 140 +- 20, 117 +- 67, 107 +- 67 at a
learning rate of 0.01; 100 +- 10, 70 +- 10, 47 +- 15 at 0.03; 247 +- 110, 63 +- 15, 47 +- 6 at 0.1.
In seconds: 2.0, 1.1, 1.3; 0.9, 0.6, 0.6; 1.4, 0.5, 0.7.
Mean (and standard deviation) of seeds 0, 1, 2; 6 min in all, most of it start-up. One core of an
AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.convnet import ConvNet
from nets.data.images import Images
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=ConvNet(widths=(16, 32), windows=(3, 3), num_classes=None),
        task=Classify(),
        data=Images(name="digits", batch_size=64, eval_batch_size=360),
        optimizer=Optimizer(Momentum(), 0.03),
        steps=500,
        eval_every=10,
        save_every=500,
        monitor="accuracy",
        target=0.97,
    )


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    base = experiment()
    return {
        f"rate {rate:g} batch {size}": dataclasses.replace(
            base,
            data=dataclasses.replace(base.data, batch_size=size),
            optimizer=Optimizer(Momentum(), rate),
        )
        for rate in (0.01, 0.03, 0.1)
        for size in (16, 64, 256)
    }
