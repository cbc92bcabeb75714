"""Wide ResNet-50-2 on ImageNet.

    python launch.py --experiment=wide_resnet50_imagenet --data.data_dir=~/tensorflow_datasets

Zagoruyko and Komodakis 2016, section 3 (ImageNet), with the recipe of fb.resnet.torch, which they
used: batches of 256, Nesterov momentum 0.9, weight decay 1e-4, 90 epochs at a rate of 0.1, a tenth
of it after 30 and 60; parts of random area and shape, mirrored, with brightness, contrast and
saturation changed by up to 0.4 and AlexNet's noise of colour. Images in class folders train and
validation are read by `--data.path` instead.

Weight decay spares biases and normalisation here.

Measured: not trained here, for want of the data; 68,883,240 parameters and 11.398 G multiply-adds
an image by `python launch.py show --experiment=wide_resnet50_imagenet`.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Nesterov
from nets.optim.schedules import Step
from nets.recipes.images import imagenet
from nets.resnet import WideResNet50_2
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return imagenet(
        WideResNet50_2(num_classes=1000),
        Optimizer(Nesterov(), 0.1, Step(epochs(30, 60)), l2=1e-4),
        batch_size=256,
        epochs=90,
        images={"colour_jitter": 0.4, "colour_noise": 0.1},
    )
