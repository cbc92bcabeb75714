"""Handwritten digits found in scenes by YOLO: a grid of cells that each predict boxes.

    python launch.py --experiment=yolo_digits

Redmon et al. 2016, in a small form for images of 128x128: a grid of 8x8, two boxes a cell. The
digits are scikit-learn's embedded ones, one to five in a scene, 20 to 56 pixels high; those of the
test are in no other scene.

Measured: mAP at an IoU of 0.5 on the test scenes 0.971 (0.919 by the 11 points of VOC 2007);
6 min of processor time. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
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
        data=DigitScenes(batch_size=16),
        optimizer=Optimizer(Adam(), 2e-3, Cosine(), warmup=50),
        steps=3000,
        eval_every=1000,
        monitor="map50",
        average=EMA(0.99),
    )
