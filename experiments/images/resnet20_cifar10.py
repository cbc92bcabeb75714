"""ResNet-20 on CIFAR-10, by the recipe of the paper.

    python launch.py --experiment=resnet20_cifar10 --data.data_dir=~/tensorflow_datasets

He et al. 2015, section 4.2: 64,000 steps of batch 128, the rate a tenth after 32,000 and 48,000,
weight decay 1e-4, crops from images padded by 4 pixels, mirrored half of the time; 45,000 images
to train on and 5,000 to choose by. The paper reports 8.75% wrong. Deeper ones by `--model.depth=32`
(7.51%), 44 (7.17%), 56 (6.97%), 110 (6.61% in the mean, with `--optimizer.warmup=400`) and,
compiled in seconds, `--model.depth=1202 --model.scan_blocks=true` (7.93%).

Here each channel is normalised, where the paper subtracts the mean of each pixel; weight decay
spares biases and normalisation; and the warm-up of the 110 layers grows linearly from 0, where the
paper's is a constant 0.01.

Measured: not trained to its end here: 64,000 steps of 0.81 s would take 14 h; 269,722 parameters.
One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Step
from nets.recipes.images import cifar
from nets.resnet_cifar import CifarResNet
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return cifar(
        CifarResNet(depth=20),
        Optimizer(Momentum(), 0.1, Step((32_000, 48_000)), l2=1e-4),
        batch_size=128,
        steps=64_000,
        every=1000,
    )
