"""SE-ResNet-50 on ImageNet.

    python launch.py --experiment=se_resnet50_imagenet --data.data_dir=~/tensorflow_datasets

Hu et al. 2018, section 5.1: batches of 1,024, momentum 0.9, 100 epochs at a rate of 0.6, a tenth of
it after every 30; parts of random area and shape, mirrored. Images in class folders train and
validation are read by `--data.path` instead.

The weight decay, which the paper does not give, is ResNet's, 1e-4. It spares biases and
normalisation. The weights that the authors released were trained otherwise, by batches of 256 at a
rate of 0.1.

Measured: not trained here, for want of the data; 28,088,024 parameters and 4.092 G multiply-adds an
image by `python launch.py show --experiment=se_resnet50_imagenet`.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Step
from nets.recipes.images import imagenet
from nets.resnet import SEResNet50
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return imagenet(
        SEResNet50(num_classes=1000),
        Optimizer(Momentum(), 0.6, Step(epochs(30, 60, 90)), l2=1e-4),
        batch_size=1024,
        epochs=100,
    )
