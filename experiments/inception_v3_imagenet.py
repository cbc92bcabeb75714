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

from nets.data.imagenet import steps
from nets.data.images import Images
from nets.inception import InceptionV3
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment
from nets.train.optimizer import Optimizer
from nets.train.rules import RMSpropTF
from nets.train.schedules import Exponential

BATCH = 32


def experiment() -> Experiment:
    return Experiment(
        model=InceptionV3(num_classes=1000, auxiliary=True),
        task=Classify(smoothing=0.1, auxiliary=0.4),
        data=Images(
            name="imagenet2012",
            batch_size=BATCH,
            image_size=299,
            crop="area",
            eval_short_side=342,
            colour_jitter=0.4,
            flip=True,
        ),
        optimizer=Optimizer(
            RMSpropTF(momentum=0.9, decay=0.9, eps=1.0),
            0.045,
            Exponential(every=steps(2, BATCH), factor=0.94),
            l2=4e-5,
            clip_norm=2.0,
        ),
        steps=steps(100, BATCH),
        eval_every=steps(1, BATCH),
        save_every=steps(1, BATCH),
        monitor="accuracy",
        ema=0.9999,
    )
