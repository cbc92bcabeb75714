"""ResNet-50 on ImageNet, by Facebook's recipe of 90 epochs.

    python launch.py --experiment=resnet50_imagenet --data.data_dir=~/tensorflow_datasets

He et al. 2015, with the stride in the 3x3 convolutions (v1.5), trained as Goyal et al. 2017,
"Accurate, large minibatch SGD", sections 5.1, 2.1 and 2.2: Nesterov momentum 0.9, weight decay
1e-4, parts of random area and shape, five epochs of warm-up, a tenth of the rate after 30, 60 and
80 epochs, the last normalisation of each branch starting at zero. Their rate is 0.1 for each 256
images of a batch: with `--data.batch_size=8192` goes `--optimizer.learning_rate=3.2`. Other depths
by `--model.layers=3,4,23,3` (101) and `3,8,36,3` (152). Images in class folders train and
validation are read by `--data.path` instead.

Here weight decay spares the biases, too, not normalisation alone as theirs; the warm-up starts at 0
and not at 0.1; and the last layer starts LeCun normal, theirs normal with a deviation of 0.01.

Measured: not trained here, for want of the data; 25,557,032 parameters and 4.089 G multiply-adds
an image by `python launch.py show --experiment=resnet50_imagenet`.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Nesterov
from nets.optim.schedules import Step
from nets.recipes.images import imagenet
from nets.resnet import ResNet50
from nets.train.experiment import Experiment
from nets.types import Epochs, epochs


def experiment() -> Experiment:
    return imagenet(
        ResNet50(num_classes=1000, zero_init=True),
        Optimizer(Nesterov(), 0.1, Step(epochs(30, 60, 80)), warmup=Epochs(5), l2=1e-4),
        batch_size=256,
        epochs=90,
    )
