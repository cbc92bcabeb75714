"""MobileNet v2 on ImageNet.

    python launch.py --experiment=mobilenet_v2_imagenet --data.data_dir=~/tensorflow_datasets

Sandler et al. 2018, section 6.1: RMSProp with decay and momentum 0.9, weight decay 4e-5, a rate of
0.045 times 0.98 every epoch, batches of 96; parts of random area and shape, mirrored. Thinner and
wider nets by `--model.width=0.75`. Images in class folders train and validation are read by
`--data.path` instead.

The paper gives no epsilon, here 1 as in the authors' release, and no length, here 300 epochs. There
is neither an average of the parameters nor a clipping of gradients here. Here one update follows
another, there 16 machines made them at once.

Measured: not trained here, for want of the data; 3,504,872 parameters and 300.8 M multiply-adds an
image by `python launch.py show --experiment=mobilenet_v2_imagenet`.
"""

from nets.mobilenet import MobileNetV2
from nets.optim.optimizer import Optimizer
from nets.optim.rules import RMSpropTF
from nets.optim.schedules import Exponential
from nets.recipes.images import imagenet
from nets.train.experiment import Experiment
from nets.types import Epochs


def experiment() -> Experiment:
    return imagenet(
        MobileNetV2(num_classes=1000),
        Optimizer(
            RMSpropTF(eps=1.0),
            0.045,
            Exponential(Epochs(1), 0.98),
            l2=4e-5,
        ),
        batch_size=96,
        epochs=300,
    )
