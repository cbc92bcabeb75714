"""MobileNet v1 on ImageNet.

    python launch.py --experiment=mobilenet_v1_imagenet --data.data_dir=~/tensorflow_datasets

Howard et al. 2017, section 3.2: RMSProp as for Inception-v3 (decay 0.9, momentum 0.9, epsilon 1, a
rate of 0.045 times 0.94 every two epochs, 100 epochs), without label smoothing and auxiliary heads;
parts of random area and shape, mirrored. Thinner nets by `--model.width=0.5`, smaller images by
`--data.image_size=160`. Images in class folders train and validation are read by `--data.path`
instead.

Batches of 96 are those of v2. The paper keeps from very small parts, and from weight decay of
depthwise kernels: here parts are as for all others, and all kernels have 4e-5. Of Inception-v3's
recipe there is neither the average of the parameters nor the clipping of gradients here. Here one
update follows another, there several machines made them at once.

Measured: not trained here, for want of the data; 4,231,976 parameters and 568.7 M multiply-adds an
image by `python launch.py show --experiment=mobilenet_v1_imagenet`.
"""

from nets.mobilenet import MobileNetV1
from nets.optim.optimizer import Optimizer
from nets.optim.rules import RMSpropTF
from nets.optim.schedules import Exponential
from nets.recipes.images import imagenet
from nets.train.experiment import Experiment
from nets.types import Epochs


def experiment() -> Experiment:
    return imagenet(
        MobileNetV1(num_classes=1000),
        Optimizer(
            RMSpropTF(eps=1.0),
            0.045,
            Exponential(Epochs(2), 0.94),
            l2=4e-5,
        ),
        batch_size=96,
        epochs=100,
    )
