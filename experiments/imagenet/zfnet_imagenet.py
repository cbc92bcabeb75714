"""ZFNet on ImageNet.

    python launch.py --experiment=zfnet_imagenet --data.data_dir=~/tensorflow_datasets

Zeiler and Fergus 2014, section 3.1: batches of 128, momentum 0.9, 70 epochs at a rate of 0.01 that
is lowered when the validation error stops improving; parts of 224 pixels of the image with its
shorter side at 256, mirrored; dropout 0.5. Images in class folders train and validation are read by
`--data.path` instead.

Lowered here means to a tenth after five epochs without improvement (the paper did so by hand); the
weight decay, which it does not give, and the noise of colour are AlexNet's. Parts lie anywhere
here, there in the corners and the middle; each channel is normalised, where the paper subtracts the
mean of each pixel; and filters are not renormalised to a maximum root mean square.

Measured: not trained here, for want of the data; 62,357,608 parameters and 1.168 G multiply-adds an
image by `python launch.py show --experiment=zfnet_imagenet`.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Plateau
from nets.recipes.images import imagenet
from nets.train.experiment import Experiment
from nets.zfnet import ZFNet


def experiment() -> Experiment:
    return imagenet(
        ZFNet(num_classes=1000),
        Optimizer(Momentum(), 0.01, Plateau(), l2=5e-4),
        batch_size=128,
        epochs=70,
        crop="jitter",
        images={"short_side": (256, 256), "colour_noise": 0.1},
    )
