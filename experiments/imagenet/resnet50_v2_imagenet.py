"""ResNet-50 with pre-activation (v2) on ImageNet.

    python launch.py --experiment=resnet50_v2_imagenet --data.data_dir=~/tensorflow_datasets

He et al. 2016, "Identity mappings in deep residual networks", section 5 and appendix: batches of
256, momentum 0.9, weight decay 1e-4, a rate of 0.1 without warm-up, a tenth of it after 30 and 60
epochs; parts of random area and shape, mirrored. The paper's own net, of 200 layers, by
`--model.layers=3,24,36,3`. Images in class folders train and validation are read by `--data.path`
instead.

90 epochs in all, which the paper does not give. Weight decay spares biases and normalisation here,
and colours are left as they are.

Measured: not trained here, for want of the data; 25,549,352 parameters and 4.089 G multiply-adds an
image by `python launch.py show --experiment=resnet50_v2_imagenet`.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Step
from nets.recipes.images import imagenet
from nets.resnet import ResNet50
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return imagenet(
        ResNet50(version="v2", num_classes=1000),
        Optimizer(Momentum(), 0.1, Step(epochs(30, 60)), l2=1e-4),
        batch_size=256,
        epochs=90,
    )
