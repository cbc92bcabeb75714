"""FCN-8s on VGG-16, segmentation of PASCAL VOC, by the recipe of the paper.

    python launch.py --experiment=fcn8s_voc --data.path=VOCdevkit/VOC2012

Long et al. 2015, section 4.3: batches of 20 images, momentum 0.9, a fixed rate of 1e-4, weight
decay 5e-4, dropout in fc6 and fc7, scores that start at zero, interpolation that starts as bilinear
and is learned; no augmentation. The paper trains each net from the one before, beginning with
VGG-16 trained on ImageNet (vgg16_imagenet); with W for a directory, these flags do so:

    --variant=32s --workdir=W/32s --init_from=VGG16 --init_rename==backbone
        --init_include=backbone/features*
    --variant=16s --workdir=W/16s --init_from=W/32s --init_exclude=score_pool4/*,upsample_*
    --variant=8s --workdir=W/8s --init_from=W/16s
        --init_exclude=score_pool3/*,upsample_pool3/*,upsample_pool4/*

It reports a mean IoU of 59.4, 62.4 and 62.7 on a part of the validation images of 2011, after
training on 8,498 images that Hariharan et al. labelled: put their masks into the folder's
SegmentationClass, and their names into train.txt. The set voc of TFDS has boxes and no masks, so
the folder of the original archive is needed.

The authors' release sees one image at a time, with momentum 0.99 and a rate of 1e-10 of the sum
over all pixels, which is 2e-5 of the mean as here (`--data.batch_size=1 --accumulate=1
--steps=100000 --optimizer.rule.momentum=0.99 --optimizer.learning_rate=2e-5`); it scores 63.6, 65.0
and 65.5. Here 20 images are 20 micro-batches, as many images in all. An image is scaled until it
fits into 500 x 500 pixels, which leaves most of VOC's as they are, and the rest is void. Biases
have the rate of all else, not twice as much, and no decay.

Measured: not trained here, for want of the data; 134,489,759 parameters.
"""

import dataclasses

from nets.data.segmentation import SegmentationImages
from nets.fcn import FCN8s, FCN16s, FCN32s
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.tasks.segment import Segment
from nets.train.experiment import Experiment

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip


def experiment() -> Experiment:
    return Experiment(
        model=FCN8s(),
        task=Segment(),
        data=SegmentationImages(
            classes=CLASSES,
            batch_size=20,
            eval_batch_size=1,
            image_size=(500, 500),
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
        ),
        optimizer=Optimizer(Momentum(), 1e-4, l2=5e-4),
        steps=5000,
        eval_every=500,
        save_every=500,
        monitor="mean_iou",
        accumulate=20,
    )


def variants() -> dict[str, Experiment]:
    base = experiment()
    models = {"32s": FCN32s(), "16s": FCN16s(), "8s": FCN8s()}
    return {name: dataclasses.replace(base, model=model) for name, model in models.items()}
