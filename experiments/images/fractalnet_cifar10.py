"""FractalNet-20 on CIFAR-10, with drop-path, by the recipe of the paper.

    python launch.py --experiment=fractalnet_cifar10 --data.data_dir=~/tensorflow_datasets

Larsson et al. 2017, section 4.1: 400 epochs of batch 100 at a rate of 0.02, a tenth whenever half
of the epochs that are left have passed (here up to the 375th), momentum 0.9, dropout of 0 to 0.4
from block to block, local drop-path of 0.15 in half of the batches and global in the others, crops
from images padded by 4 pixels, mirrored half of the time. The paper reports 4.60% wrong with all of
this and 5.22% without dropout and drop-path. A single column of the trained net, here the deepest,
answers by `python launch.py eval --workdir=RUN --model.column=3`.

Here a tenth of the training images is held out to choose by.

Measured: not trained to its end here: 180,000 steps of 8.4 s would take 419 h; 33,724,618
parameters. One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.fractalnet import FractalNet
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Step
from nets.recipes.images import cifar
from nets.train.experiment import Experiment
from nets.types import epochs


def experiment() -> Experiment:
    return cifar(
        FractalNet(dropout=(0.0, 0.1, 0.2, 0.3, 0.4), drop_path=0.15),
        Optimizer(Momentum(), 0.02, Step(epochs(200, 300, 350, 375))),
        batch_size=100,
        epochs=400,
    )
