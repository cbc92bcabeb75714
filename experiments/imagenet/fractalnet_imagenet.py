"""FractalNet-34 on ImageNet.

    python launch.py --experiment=fractalnet_imagenet --data.data_dir=~/tensorflow_datasets

Larsson et al. 2017, sections 4.1 and 4.2: ResNet-34 with four fractal blocks of four columns in its
middle; batches of 32, momentum 0.9, 70 epochs at a rate of 0.001, a tenth of it after 50 and 65,
drop-path of 15%. Images in class folders train and validation are read by `--data.path` instead.

The paper does not say how images are cut: here as VGG's, the shorter side drawn from 256 to 480;
nor whether there is weight decay: here none. The middle of the image is tested, there ten parts of
it.

Measured: not trained here, for want of the data; 164,031,016 parameters and 24.165 G multiply-adds
an image by `python launch.py show --experiment=fractalnet_imagenet`.
"""

from nets.fractalnet import FractalNet34
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Step
from nets.recipes.images import imagenet
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return imagenet(
        FractalNet34(num_classes=1000, drop_path=0.15),
        Optimizer(Momentum(), 0.001, Step(epochs(50, 65))),
        batch_size=32,
        epochs=70,
        crop="jitter",
        images={"short_side": (256, 480)},
    )
