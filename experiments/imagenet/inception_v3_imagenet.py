"""Inception-v3 on ImageNet.

    python launch.py --experiment=inception_v3_imagenet --data.data_dir=~/tensorflow_datasets

Szegedy et al. 2016, sections 7 and 8: RMSProp with decay 0.9 and epsilon 1, a rate of 0.045 times
0.94 every two epochs, gradients clipped to a norm of 2, 100 epochs of batches of 32, label
smoothing 0.1, an average of the parameters for testing, an auxiliary head (0.4 of its loss), images
of 299 pixels. Images in class folders train and validation are read by `--data.path` instead.

From the authors' release, as the paper gives none: momentum 0.9, weight decay 4e-5, the average's
decay of 0.9999, the weight of the auxiliary head, and testing on the middle 87.5% of the image.
Here one update follows another, there 50 machines made them at once; colours are changed in
brightness, contrast and saturation, by up to 0.4, and not in hue.

Measured: not trained here, for want of the data; 27,161,264 parameters and 5.713 G multiply-adds an
image by `python launch.py show --experiment=inception_v3_imagenet`.
"""

from nets.inception import InceptionV3
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.rules import RMSpropTF
from nets.optim.schedules import Exponential
from nets.recipes.images import imagenet
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment
from nets.types import Epochs


def experiment() -> Experiment:
    return imagenet(
        InceptionV3(num_classes=1000, auxiliary=True),
        Optimizer(
            RMSpropTF(eps=1.0),
            0.045,
            Exponential(Epochs(2), 0.94),
            l2=4e-5,
            clip_norm=2.0,
        ),
        task=Classify(smoothing=0.1, auxiliary=0.4),
        batch_size=32,
        epochs=100,
        image_size=299,
        eval_short_side=342,
        images={"colour_jitter": 0.4},
        average=EMA(0.9999),
    )
