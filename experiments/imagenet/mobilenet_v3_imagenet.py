"""MobileNet v3, large or small, on ImageNet.

    python launch.py --experiment=mobilenet_v3_imagenet --data.data_dir=~/tensorflow_datasets

Howard et al. 2019, section 6.1.1: RMSProp with momentum 0.9, batches of 4,096, a rate of 0.1 that
falls by 1% every three epochs, weight decay 1e-5, dropout 0.2, an average of the parameters that
decays by 0.9999 a step; parts of random area and shape, mirrored. The small net by
`--model.variant=small`. Images in class folders train and validation are read by `--data.path`
instead.

The paper gives no decay of the mean square, here 0.9, no epsilon, here 0.001, and no length, here
600 epochs. Colours are left alone here.

Measured: not trained here, for want of the data; 5,483,032 parameters and 216.6 M multiply-adds an
image by `python launch.py show --experiment=mobilenet_v3_imagenet`.
"""

from nets.mobilenet_v3 import MobileNetV3Large
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.rules import RMSpropTF
from nets.optim.schedules import Exponential
from nets.recipes.images import imagenet
from nets.train.experiment import Experiment
from nets.types import Epochs


def experiment() -> Experiment:
    return imagenet(
        MobileNetV3Large(num_classes=1000),
        Optimizer(RMSpropTF(eps=1e-3), 0.1, Exponential(Epochs(3), 0.99), l2=1e-5),
        batch_size=4096,
        epochs=600,
        average=EMA(0.9999),
    )
