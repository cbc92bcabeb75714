"""GoogLeNet, as published in 2014, on ImageNet.

    python launch.py --experiment=googlenet_imagenet --data.data_dir=~/tensorflow_datasets

Szegedy et al. 2015, sections 5 and 6: momentum 0.9, a rate that falls by 4% every 8 epochs, an
average of the parameters for testing, two auxiliary heads with 0.3 of their loss, dropout 0.4 and
0.7; parts of 8% to 100% of the area, of width over height 3/4 to 4/3, mirrored, with photometric
distortions. Images in class folders train and validation are read by `--data.path` instead.

The paper gives no more. Batches of 32, the rate 0.01, weight decay 2e-4 and 10,000,000 steps are
those of Caffe's bvlc_googlenet; the average decays by 0.9999 a step; the distortions are of
brightness, contrast and saturation, by up to 0.4. Here one update follows another, there several
machines made them at once. torchvision's net, with batch normalisation, by
`--model.version=torchvision`.

Measured: not trained here, for want of the data; 13,378,280 parameters and 1.583 G multiply-adds an
image by `python launch.py show --experiment=googlenet_imagenet`.
"""

from nets.googlenet import GoogLeNet2014
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Exponential
from nets.recipes.images import imagenet
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment
from nets.types import Epochs


def experiment() -> Experiment:
    return imagenet(
        GoogLeNet2014(num_classes=1000, auxiliary=True),
        Optimizer(Momentum(), 0.01, Exponential(Epochs(8), 0.96), l2=2e-4),
        task=Classify(auxiliary=0.3),
        batch_size=32,
        steps=10_000_000,
        images={"colour_jitter": 0.4},
        average=EMA(0.9999),
    )
