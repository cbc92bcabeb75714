"""ResNeXt-50 (32x4d) on ImageNet.

    python launch.py --experiment=resnext50_imagenet --data.data_dir=~/tensorflow_datasets

Xie et al. 2017, section 4: batches of 256, momentum 0.9, weight decay 1e-4, a rate of 0.1, a tenth
of it after 30, 60 and 90 epochs; parts of random area and shape, mirrored. From the authors'
release: Nesterov's form of momentum, 100 epochs, and colours changed as in fb.resnet.torch. Images
in class folders train and validation are read by `--data.path` instead.

Weight decay spares biases and normalisation here.

Measured: not trained here, for want of the data; 25,028,904 parameters and 4.230 G multiply-adds an
image by `python launch.py show --experiment=resnext50_imagenet`.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Nesterov
from nets.optim.schedules import Step
from nets.recipes.images import imagenet
from nets.resnet import ResNeXt50_32x4d
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return imagenet(
        ResNeXt50_32x4d(num_classes=1000),
        Optimizer(Nesterov(), 0.1, Step(epochs(30, 60, 90)), l2=1e-4),
        batch_size=256,
        epochs=100,
        images={"colour_jitter": 0.4, "colour_noise": 0.1},
    )
