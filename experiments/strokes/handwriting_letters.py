"""Writes any text by hand: Graves's synthesis network on generated handwriting.

    python launch.py --experiment=handwriting_letters
    python launch.py sample --workdir=runs/handwriting_letters --prompt='hello world'

Measured: not trained to its end here, for want of time; 403,404 parameters.
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
        steps=2400,
        eval_every=400,
        save_every=400,
        monitor="loss",
    )
