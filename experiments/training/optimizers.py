"""Eight update rules on one net, each over a grid of learning rates.

    python launch.py compare --experiment=optimizers --seed=0,1,2

At its best learning rate each rule learns the digits; ten times that rate ruins most of them, a
tenth of it costs more than the choice of the rule.

Measured: training loss and test accuracy of each rule at its rate with the lowest loss: SGD at 1,
0.0089, 0.976; momentum at 0.1, 0.0071, 0.974; Nesterov at 0.1, 0.0070, 0.975; Adagrad at 0.1,
0.0144, 0.975; RMSprop at 0.01, 0.0144, 0.980; Adam at 0.01, 0.0094, 0.976; AdamW at 0.01, 0.0100,
0.977; LAMB at 0.01, 0.0213, 0.963 (standard deviations of the accuracies 0.002 to 0.005, of LAMB's
0.011). At a tenth of that rate all are between 0.747 (LAMB) and 0.954.
Means of seeds 0, 1, 2; 0.1 to 0.9 s a run, 12 min in all, most of it start-up. One core of an AMD
EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.data.images import Images
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import SGD, Adagrad, Adam, AdamW, Lamb, Momentum, Nesterov, RMSprop
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment

LARGE, SMALL = (0.01, 0.1, 1.0), (0.001, 0.01, 0.1)
GRID = {
    "SGD": (SGD(), (0.1, 1.0, 10.0)),
    "momentum": (Momentum(), LARGE),
    "Nesterov": (Nesterov(), LARGE),
    "Adagrad": (Adagrad(), LARGE),
    "RMSprop": (RMSprop(), SMALL),
    "Adam": (Adam(), SMALL),
    "AdamW": (AdamW(weight_decay=0.01), SMALL),
    "LAMB": (Lamb(weight_decay=0.01), SMALL),
}
"""The rules, and the learning rates that each is tried with."""


def experiment() -> Experiment:
    return Experiment(
        model=MLP(widths=(64,), num_classes=None),
        task=Classify(),
        data=Images(name="digits", batch_size=64, eval_batch_size=360),
        optimizer=Optimizer(Adam(), 0.001),
        steps=200,
        eval_every=200,
        save_every=200,
        monitor="loss",
        eval_train=True,
    )


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    base = experiment()
    return {
        f"{name} rate={rate:g}": dataclasses.replace(base, optimizer=Optimizer(rule, rate))
        for name, (rule, rates) in GRID.items()
        for rate in rates
    }
