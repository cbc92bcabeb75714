"""VGG of 16 layers, or 11, 13 and 19, on ImageNet.

    python launch.py --experiment=vgg16_imagenet --data.data_dir=~/tensorflow_datasets

Simonyan and Zisserman 2015, section 3.1: batches of 256, momentum 0.9, weight decay 5e-4, 370,000
steps (74 epochs) at a rate of 0.01 that is divided by ten when the validation accuracy stops
improving; parts of 224 pixels of the image with its shorter side drawn from 256 to 512, mirrored,
with AlexNet's noise of colour; dropout 0.5. The other depths by `--model.depth=11`, 13 or 19; the
paper's nets of 11 and 13 layers saw one size, `--data.short_side=256,256`. Images in class folders
train and validation are read by `--data.path` instead.

The paper starts deep nets from shallow ones, those of drawn sizes from one trained at 384, and
tests on whole images at several sizes; here convolutions start as He et al. 2015 and dense layers
normal with a deviation of 0.01, all sizes are drawn from the start, and the middle of the image at
256 is tested. How long it waits before it divides is not published: here five epochs. Weight decay
spares biases here.

Measured: not trained here, for want of the data; 138,357,544 parameters and 15.470 G multiply-adds
an image by `python launch.py show --experiment=vgg16_imagenet`.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Plateau
from nets.recipes.images import imagenet
from nets.train.experiment import Experiment
from nets.vgg import VGG


def experiment() -> Experiment:
    return imagenet(
        VGG(depth=16, num_classes=1000),
        Optimizer(Momentum(), 0.01, Plateau(), l2=5e-4),
        batch_size=256,
        steps=370_000,
        crop="jitter",
        images={"short_side": (256, 512), "colour_noise": 0.1},
    )
