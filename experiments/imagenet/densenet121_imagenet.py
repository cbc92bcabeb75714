"""DenseNet-121 on ImageNet.

    python launch.py --experiment=densenet121_imagenet --data.data_dir=~/tensorflow_datasets

Huang et al. 2017, section 4.2: batches of 256, Nesterov momentum 0.9, weight decay 1e-4, 90 epochs
at a rate of 0.1, a tenth of it after 30 and 60; images changed as in fb.resnet.torch: parts of
random area and shape, mirrored, with brightness, contrast and saturation changed by up to 0.4 and
AlexNet's noise of colour. DenseNet-169 and 201 by `--model.layers=6,12,32,32` and `6,12,48,32`.
Images in class folders train and validation are read by `--data.path` instead.

Weight decay spares biases and normalisation here.

Measured: not trained here, for want of the data; 7,978,856 parameters and 2.834 G multiply-adds an
image by `python launch.py show --experiment=densenet121_imagenet`.
"""

from nets.densenet import DenseNet121
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Nesterov
from nets.optim.schedules import Step
from nets.recipes.images import imagenet
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return imagenet(
        DenseNet121(num_classes=1000),
        Optimizer(Nesterov(), 0.1, Step(epochs(30, 60)), l2=1e-4),
        batch_size=256,
        epochs=90,
        images={"colour_jitter": 0.4, "colour_noise": 0.1},
    )
