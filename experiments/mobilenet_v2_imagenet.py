"""MobileNet v2 on ImageNet.

    python launch.py --experiment=mobilenet_v2_imagenet --data.data_dir=~/tensorflow_datasets

Sandler et al. 2018, section 6.1: RMSProp with decay and momentum 0.9, weight decay 4e-5, a rate of
0.045 times 0.98 every epoch, batches of 96; parts of random area and shape, mirrored. Thinner and
wider nets by `--model.width=0.75`. Images in class folders train and validation are read by
`--data.path` instead.

The paper gives no epsilon, here 1 as in the authors' release, and no length, here 300 epochs. There
is neither an average of the parameters nor a clipping of gradients here. Here one update follows
another, there 16 machines made them at once.

Measured: not trained here, for want of the data; 3,504,872 parameters and 300.8 M multiply-adds an
image by `python launch.py show --experiment=mobilenet_v2_imagenet`.
"""

from nets.data.imagenet import steps
from nets.data.images import Images
from nets.mobilenet import MobileNetV2
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment
from nets.train.optimizer import Optimizer
from nets.train.rules import RMSpropTF
from nets.train.schedules import Exponential

BATCH = 96


def experiment() -> Experiment:
    return Experiment(
        model=MobileNetV2(num_classes=1000),
        task=Classify(),
        data=Images(
            name="imagenet2012",
            batch_size=BATCH,
            image_size=224,
            crop="area",
            eval_short_side=256,
            flip=True,
        ),
        optimizer=Optimizer(
            RMSpropTF(momentum=0.9, decay=0.9, eps=1.0),
            0.045,
            Exponential(every=steps(1, BATCH), factor=0.98),
            l2=4e-5,
        ),
        steps=steps(300, BATCH),
        eval_every=steps(1, BATCH),
        save_every=steps(1, BATCH),
        monitor="accuracy",
    )
