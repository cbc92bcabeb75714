"""NASNet-A (6 @ 4032) on ImageNet.

    python launch.py --experiment=nasnet_large_imagenet --data.data_dir=~/tensorflow_datasets

Zoph et al. 2018, section 4.2 and appendix A: RMSProp with decay 0.9 and epsilon 1, label smoothing
0.1, an auxiliary head with 0.4 of its loss, dropout 0.5, an average of the parameters for testing,
parts of random area and shape, mirrored, as for Inception-v3, images of 331 pixels, paths dropped
with a probability that grows to 0.3. Images in class folders train and validation are read by
`--data.path` instead.

What the paper does not give is Inception-v3's: batches of 32, momentum 0.9, a rate of 0.045 times
0.94 every two epochs for 100 epochs, weight decay 4e-5, the average's decay of 0.9999; but for the
clipping of gradients, of which there is none. The 0.3 is the authors' release's, where it is
reached after 250,000 steps, here at the end. Here one update follows another, there 50 machines
made them together.

Measured: not trained here, for want of the data; 93,320,934 parameters and 23.783 G multiply-adds
an image by `python launch.py show --experiment=nasnet_large_imagenet`.
"""

from nets.nasnet import NASNetLarge
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
        NASNetLarge(num_classes=1000, auxiliary=True, drop_path_steps=Epochs(100)),
        Optimizer(
            RMSpropTF(eps=1.0),
            0.045,
            Exponential(Epochs(2), 0.94),
            l2=4e-5,
        ),
        task=Classify(smoothing=0.1, auxiliary=0.4),
        batch_size=32,
        epochs=100,
        image_size=331,
        eval_short_side=378,
        images={"colour_jitter": 0.4},
        average=EMA(0.9999),
    )
