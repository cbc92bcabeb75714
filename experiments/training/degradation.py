"""Degradation on CIFAR-10: plain and residual networks of 20 and 56 layers.

    python launch.py compare --experiment=degradation --data.data_dir=~/tensorflow_datasets

He et al. 2015, section 4.2 and figure 6: of plain networks the deeper one ends with the larger
error in training as well as in the test, of residual ones with the smaller. Here each trains for
2,000 steps of batch 128; `--optimizer.learning_rate=0.1 --steps=64000` is the paper's length.

Measured: on images of 16 x 16 with half the channels and 300 steps, less than one pass
(`--data.image_size=16 --model.width=8 --steps=300`), accuracy on the training images and on the
test images: plain, 20 layers 0.295 and 0.297, 56 layers 0.119 and 0.118; residual, 20 layers 0.347
and 0.357, 56 layers 0.295 and 0.298. So the deeper plain network has hardly begun to learn, and the
deeper residual one is behind the shallower, but ahead of it by far. 40 s to 200 s a network.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Cosine
from nets.recipes.images import cifar
from nets.resnet_cifar import CifarResNet
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return cifar(
        CifarResNet(depth=20, shortcut="none", scan_blocks=True),
        Optimizer(Momentum(), 0.03, Cosine(), warmup=50, l2=1e-4),
        steps=2000,
        every=500,
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
