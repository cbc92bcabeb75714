r"""Digits of MNIST among pieces of others: a few glimpses against networks that see everything.

    python launch.py compare --experiment=glimpses_cluttered_mnist \
        --data.data_dir=~/tensorflow_datasets
    python launch.py compare --experiment=glimpses_cluttered_mnist \
        --data.data_dir=~/tensorflow_datasets --data.clutter=0

A digit of 28 x 28 pixels anywhere in 60 x 60, with four pieces of 8 x 8. Mnih et al. 2014, tables 1
and 2: six glimpses of 12 x 12 pixels at three scales; two fully connected layers of 64 and of 256
units; a convolution of 8 windows of 10 x 10 that strides by 5, and 256 units. Without clutter the
digits are only translated. The networks that see everything learn for a third of the updates here.
Published errors, in this order: 4.08%, 28.58%, 11.96% and 8.09%; without clutter 1.22%, 6.42%,
2.63% and 1.62%.

Measured: six glimpses 8.75% wrong, 79 min 16 s of processor time; fully connected layers of 64 and
of 256 units 32.5% and 16.3%, 14 min 52 s and 18 min 23 s; the convolution 11.2%, 13 min 15 s.
Without clutter six glimpses 2.38%, 52 min 2 s. Seed 0, one core of an AMD EPYC (AVX-512), jax
0.10.2.
"""

import dataclasses

from nets.conv_scheme import ConvScheme
from nets.data.cluttered_digits import ClutteredDigits
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.recurrent_attention import RecurrentAttention
from nets.tasks.classify import Classify
from nets.tasks.classify_glimpses import ClassifyGlimpses
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=RecurrentAttention(glimpses=6, size=12, scales=3, location_std=0.15),
        task=ClassifyGlimpses(),
        data=ClutteredDigits(clutter=4),
        optimizer=Optimizer(Adam(), 1e-3, Cosine(), warmup=200, clip_norm=5.0),
        steps=90_000,
        eval_every=4500,
        save_every=4500,
        monitor="accuracy",
    )


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    base = experiment()
    models = {
        "fully connected, 64": MLP((64, 64), num_classes=None),
        "fully connected, 256": MLP((256, 256), num_classes=None),
        "convolutional": ConvScheme(
            (8,), windows=(10,), strides=(5,), padded=False, pooling="none", hidden=(256,)
        ),
    }
    rest = {
        name: dataclasses.replace(base, model=model, task=Classify(), steps=30_000)
        for name, model in models.items()
    }
    return {"6 glimpses": base} | rest
