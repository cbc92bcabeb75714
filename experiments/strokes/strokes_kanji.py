"""Draws kanji that do not exist, stroke by stroke: Graves's prediction network.

    python launch.py --experiment=strokes_kanji --data.path=short_kanji.npz
    python launch.py sample --workdir=runs/strokes_kanji-data.path=short_kanji.npz

A file of 10,000 kanji as strokes of a pen (KanjiVG; stroke-3 arrays, `nets/data/README.md`). Three
LSTM layers with peepholes and skip connections, gradients clipped as published, and a mixture of
ten Gaussians for the next point (Graves 2013, section 4). A second bit of each point ends a
drawing.

Measured: -13.30 nats a test drawing, -0.320 a point (one Gaussian and Bernoulli variables: 3.534),
squared error 0.523; 2 min 38 s of processor time. Seed 0, one core of an AMD EPYC (AVX-512), jax
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
        task=NextPoint(length=120),
        data=Strokes(
            path="short_kanji.npz",
            max_points=88,
            widths=(32, 40, 48, 60),
            end=True,
            dequantise=1.0,
            stretch=0.1,
            batch_size=32,
        ),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=1200,
        eval_every=300,
        save_every=300,
        monitor="loss",
    )
