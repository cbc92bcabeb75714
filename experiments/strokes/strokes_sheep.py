"""Draws sheep in one line, as people drew them: Graves's prediction network.

    python launch.py --experiment=strokes_sheep --data.path=aaron_sheep.npz
    python launch.py sample --workdir=runs/strokes_sheep-data.path=aaron_sheep.npz

A file of 7,400 sheep, drawn by visitors of a website (Koblin 2006; stroke-3 arrays,
`nets/data/README.md`). Truncated back-propagation through 100 points. Three LSTM layers with
peepholes and skip connections, gradients clipped as published, and a mixture of ten Gaussians
for the next point (Graves 2013, section 4). A second bit of each point ends a drawing.

Measured: 139.6 nats a test drawing, 1.100 a point (one Gaussian and Bernoulli variables: 3.183),
squared error 1.687; 4 min 54 s of processor time. Seed 0, one core of an AMD EPYC (AVX-512), jax
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
        task=NextPoint(length=260, k1=100),
        data=Strokes(
            path="aaron_sheep.npz",
            max_points=250,
            widths=(80, 100, 130, 180),
            end=True,
            dequantise=1.0,
            stretch=0.1,
            batch_size=32,
        ),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=800,
        eval_every=200,
        save_every=200,
        monitor="loss",
    )
