"""AlexNet, the two towers of 2012, on ImageNet.

    python launch.py --experiment=alexnet_imagenet --data.data_dir=~/tensorflow_datasets

Krizhevsky, Sutskever and Hinton 2012, sections 4.1 and 5: batches of 128, momentum 0.9, weight
decay 5e-4, 90 epochs at a rate of 0.01 that is divided by ten when the validation error stops
improving; random parts of the image with its shorter side at 256 pixels, mirrored, with noise along
the principal components of colour, dropout 0.5. Images in class folders train and validation are
read by `--data.path` instead.

The paper does not say how long it waits before it divides: here five epochs. Its parts come from
the middle 256 x 256 pixels, here from the whole image; it averages over ten parts when testing,
here the middle one is taken; weight decay spares biases here; each channel is normalised instead of
the mean image being taken off. The net of one tower of 2014 is `nets.alexnet.AlexNet`.

Measured: not trained here, for want of the data; 60,965,224 parameters and 724.4 M multiply-adds an
image by `python launch.py show --experiment=alexnet_imagenet`.
"""

from nets.alexnet import AlexNetOriginal
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Plateau
from nets.recipes.images import imagenet
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return imagenet(
        AlexNetOriginal(num_classes=1000),
        Optimizer(Momentum(), 0.01, Plateau(), l2=5e-4),
        batch_size=128,
        epochs=90,
        image_size=227,
        crop="jitter",
        images={"short_side": (256, 256), "colour_noise": 0.1},
    )
