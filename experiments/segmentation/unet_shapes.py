"""A small U-Net names every pixel of generated scenes: ground and five shapes.

    python launch.py --experiment=unet_shapes

Ronneberger et al. 2015, four levels with batch normalisation, on scenes of 64 x 64 pixels of which
no two are alike.

Measured: test mean IoU 0.996, near boundaries 0.994; 3 min.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.scene_masks import ShapeMasks
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.segment import Segment
from nets.train.experiment import Experiment
from nets.unet import UNet


def experiment() -> Experiment:
    return Experiment(
        model=UNet(widths=(12, 24, 48, 64)),
        task=Segment(),
        data=ShapeMasks(batch_size=32, eval_batch_size=100, eval_size=500),
        optimizer=Optimizer(Adam(), 4e-3, Cosine(), warmup=50),
        steps=600,
        eval_every=200,
        save_every=200,
        monitor="mean_iou",
    )
