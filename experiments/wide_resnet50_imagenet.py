"""Wide ResNet-50-2 on ImageNet.

    python launch.py --experiment=wide_resnet50_imagenet --data.data_dir=~/tensorflow_datasets

Zagoruyko and Komodakis 2016, section 3 (ImageNet), with the recipe of fb.resnet.torch, which they
used: batches of 256, Nesterov momentum 0.9, weight decay 1e-4, 90 epochs at a rate of 0.1, a tenth
of it after 30 and 60; parts of random area and shape, mirrored, with brightness, contrast and
saturation changed by up to 0.4 and AlexNet's noise of colour. Images in class folders train and
validation are read by `--data.path` instead.

Weight decay spares biases and normalisation here.

Measured: not trained here, for want of the data; 68,883,240 parameters and 11.398 G multiply-adds
an image by `python launch.py show --experiment=wide_resnet50_imagenet`.
"""

from nets.data.imagenet import steps
from nets.data.images import Images
from nets.resnet import WideResNet50_2
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment
from nets.train.optimizer import Optimizer
from nets.train.rules import Nesterov
from nets.train.schedules import Step

BATCH = 256


def experiment() -> Experiment:
    return Experiment(
        model=WideResNet50_2(num_classes=1000),
        task=Classify(),
        data=Images(
            name="imagenet2012",
            batch_size=BATCH,
            image_size=224,
            crop="area",
            eval_short_side=256,
            colour_jitter=0.4,
            colour_noise=0.1,
            flip=True,
        ),
        optimizer=Optimizer(
            Nesterov(),
            0.1,
            Step(milestones=tuple(steps(epoch, BATCH) for epoch in (30, 60))),
            l2=1e-4,
        ),
        steps=steps(90, BATCH),
        eval_every=steps(1, BATCH),
        save_every=steps(1, BATCH),
        monitor="accuracy",
    )
