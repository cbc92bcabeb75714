"""Handwritten digits found in scenes by a sliding window: a classifier looks everywhere.

python launch.py --experiment=sliding_window_mnist_scenes --data.data_dir=~/tensorflow_datasets
"""

from nets.data.digit_scenes import DigitScenes
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.sliding_window import SlidingWindow
from nets.tasks.detect import Detect
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=SlidingWindow(),
        task=Detect(),
        data=DigitScenes(name="mnist", batch_size=8, eval_batch_size=10),
        optimizer=Optimizer(Adam(), 1e-3, Cosine(), warmup=100),
        steps=2000,
        eval_every=1000,
        monitor="map50",
        average=EMA(0.99),
    )
