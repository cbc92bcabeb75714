"""Writes any text by hand: Graves's synthesis network on generated handwriting.

    python launch.py --experiment=handwriting_letters
    python launch.py sample --workdir=runs/handwriting_letters --prompt='hello world'

Words of random letters in a vector alphabet, each in a slant, size and pace of its own. Three LSTM
layers with peepholes and skip connections, a window over the text, a mixture of ten Gaussians for
the next point, gradients clipped as published (Graves 2013, sections 4 and 5; 128 cells instead of
400). The pictures: words, biases of 0 to 2, a hand that goes on after given words, where the next
points are expected, and which character is read while it is written.

Measured: -139.1 nats a test word, -2.157 a point (one Gaussian and Bernoulli variable: 2.986),
squared error 0.294; most letters of a text can be read with a bias of 1; 18 min beside other
trainings. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
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
        model=Handwriting(
            cell=LSTM(128, peepholes=True, clip=10.0), layers=3, mixtures=10, window=5
        ),
        task=NextPoint(),
        data=Strokes(name="letters", widths=(40, 60, 80, 110), max_points=150, batch_size=32),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=1200,
        eval_every=300,
        save_every=300,
        monitor="loss",
    )
