"""WRN-28-10, a wide residual network, on CIFAR-10, by the recipe of the paper.

    python launch.py --experiment=wide_resnet_cifar10 --data.data_dir=~/tensorflow_datasets

Zagoruyko and Komodakis 2016, section 3: 200 epochs of batch 128, Nesterov momentum, the rate a
fifth after 60, 120 and 160, weight decay 5e-4, crops from images padded by 4 pixels, mirrored half
of the time. The authors report 4.00% wrong, 3.89% with `--model.dropout=0.3`. Thinner and deeper:
`--model.depth=40 --model.width=4` (4.53%).

Here a tenth of the training images is held out to choose by, weight decay spares biases and
normalisation, and padding is black, not reflected.

Measured: not trained here; 36,479,194 parameters and 5.243 G multiply-adds an image by
`python launch.py show --experiment=wide_resnet_cifar10`.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Nesterov
from nets.optim.schedules import Step
from nets.recipes.images import cifar
from nets.resnet_cifar import WideResNet
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return cifar(
        WideResNet(depth=28, width=10),
        Optimizer(Nesterov(), 0.1, Step(epochs(60, 120, 160), factor=0.2), l2=5e-4),
        batch_size=128,
        epochs=200,
    )
