"""MNIST's digits found in scenes by a sliding window: a classifier looks everywhere.

    python launch.py --experiment=sliding_window_mnist_scenes --data.data_dir=~/tensorflow_datasets

What came before region proposals: a small network classifies every window of six sizes, 9,191 an
image, and non-maximum suppression picks among them. Written as convolutions, it shares what
overlapping windows have in common, and still takes some 25 times as long for an image as the
network of `yolo_mnist_scenes` (`python tests/benchmarks/detectors.py`), for a lower precision: no
window fits an object closely, and nothing moves it.

Measured: mAP at an IoU of 0.5 on the test scenes 0.821; 10 min 43 s.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
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
