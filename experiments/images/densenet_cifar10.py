"""DenseNet-BC-100-12 on CIFAR-10, by the recipe of the paper.

    python launch.py --experiment=densenet_cifar10 --data.data_dir=~/tensorflow_datasets

Huang et al. 2017, section 4.2: 300 epochs of batch 64, Nesterov momentum, the rate a tenth after
half and three quarters of them, weight decay 1e-4, crops from images padded by 4 pixels, mirrored
half of the time. The authors report 4.51% wrong. Without augmentation (5.92%) they drop units:
`--data.pad_crop=0 --data.flip=false --model.dropout=0.2`.

Here a tenth of the training images is held out to choose by, and weight decay spares biases and
normalisation.

Measured: not trained to its end here: 210,938 steps of 5.6 s would take 325 h; 769,162
parameters.
One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.densenet import DenseNetBC100
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Nesterov
from nets.optim.schedules import Step
from nets.recipes.images import cifar
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return cifar(
        DenseNetBC100(),
        Optimizer(Nesterov(), 0.1, Step(epochs(150, 225)), l2=1e-4),
        batch_size=64,
        epochs=300,
    )
