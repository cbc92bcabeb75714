"""Degradation on digits: of plain networks the deeper one is worse, of residual ones it is not.

    python launch.py compare --experiment=degradation_digits --seed=0,1,2

The networks of He et al. 2015 for CIFAR, half as wide, with and without shortcuts, of 20 and of 56
layers, read digits of 8 x 8. The deeper plain one could be the shallower one with layers that do
nothing; after as many steps it is far worse even on the digits that it trained on, so it does not
overfit: it cannot be optimised. With shortcuts, which have no parameters, both depths learn all.

Measured: accuracy over seeds 0, 1, 2 (mean and standard deviation), on the training digits and on
the test digits: plain, 20 layers 0.990 (0.006) and 0.963 (0.003), 56 layers 0.305 (0.094) and 0.238
(0.100); residual, 20 layers 0.999 (0.000) and 0.976 (0.003), 56 layers 0.998 (0.002) and 0.975
(0.000). 15 s a network of 20 layers, 45 s of 56.
One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.data.images import Images
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Cosine
from nets.resnet_cifar import CifarResNet
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=CifarResNet(depth=20, width=8, shortcut="none", scan_blocks=True),
        task=Classify(),
        data=Images(name="digits", batch_size=64, eval_batch_size=180, shift=0.5),
        optimizer=Optimizer(Momentum(), 0.05, Cosine(), l2=1e-4),
        steps=300,
        eval_every=100,
        save_every=300,
        eval_train=True,
    )


def variants() -> dict[str, Experiment]:
    base = experiment()
    return {
        f"{name} {depth}": dataclasses.replace(
            base, model=base.model.clone(depth=depth, shortcut=shortcut)
        )
        for name, shortcut in (("plain", "none"), ("residual", "A"))
        for depth in (20, 56)
    }
