"""MNIST's digits found in scenes by YOLO, in one pass over the image.

    python launch.py --experiment=yolo_mnist_scenes --data.data_dir=~/tensorflow_datasets

The small form of `yolo_digits` (391,412 parameters) on one to five digits in a scene of 128x128;
those of the test are MNIST's own. Beside it: `faster_rcnn_mnist_scenes` and
`sliding_window_mnist_scenes`; `python tests/benchmarks/detectors.py` compares what they cost.

Measured: mAP at an IoU of 0.5 on the test scenes 0.970; 13 min.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.digit_scenes import DigitScenes
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.detect import Detect
from nets.train.experiment import Experiment
from nets.yolo import YOLO


def experiment() -> Experiment:
    return Experiment(
        model=YOLO("small"),
        task=Detect(),
        data=DigitScenes(name="mnist", batch_size=16),
        optimizer=Optimizer(Adam(), 2e-3, Cosine(), warmup=50),
        steps=8000,
        eval_every=2000,
        monitor="map50",
        average=EMA(0.99),
    )
