r"""Faster R-CNN on VGG-16 on PASCAL VOC 2007, by the recipe of the paper.

    python launch.py --experiment=faster_rcnn_voc --data.data_dir=~/tensorflow_datasets

Ren et al. 2015, section 3: the shorter side of an image has 600 pixels; one image a step, of 256
anchors and 128 regions; momentum 0.9, weight decay 5e-4, 60,000 steps at a rate of 1e-3 and 20,000
at 1e-4; mirrored half of the time. The paper reports a mean average precision of 69.9 on the test
images of 2007, and 73.2 after training on 2012 too. Files of one's own, such as those of both years
in one folder, by `--data.path=FOLDER`; with a ResNet-50 and a feature pyramid in
`nets.faster_rcnn.FasterRCNNResNet50FPN`.

The paper's VGG-16 is trained on ImageNet before, its first two stages stay as they are: with the
weights of `vgg16_imagenet` that is

    --init_from=runs/vgg16_imagenet --init_include='backbone/conv*' --init_rename==backbone \
        --optimizer.freeze='backbone/conv1_*,backbone/conv2_*'

As in the paper and in Fast R-CNN, which it builds on: anchors that pass the border are not trained
on, background regions have an IoU of 0.1 to 0.5 with an object, the smooth L1 loss of regions has a
beta of 1, and the suppression of detections a threshold of 0.3. torchvision's own settings are

    --model.cross_boundary=true --model.min_background=0 --model.box_beta=0.1111 --model.nms_iou=0.5

What differs: an image is fitted into 800 x 800 pixels, so that one of 500 x 375, as most are, has
800 x 600; both networks are trained at once (section 3.2, "approximate joint training") instead of
in turn; the offsets of anchors have a beta of 1/9, as in the authors' code (the paper's is 1), and
their loss is divided by the 256 sampled (the paper: by 2,400 positions, times 10); proposals below
16 pixels stay; and weight decay spares biases. All of the training and validation images are
trained on.

Measured: not trained here, for want of the data; 137,078,239 parameters.
"""

from nets.data.detection import DetectionImages
from nets.faster_rcnn import FasterRCNNVGG16
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Step
from nets.tasks.detect import Detect
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=FasterRCNNVGG16(),
        task=Detect(),
        data=DetectionImages(
            name="voc/2007",
            trainval=True,
            batch_size=1,
            eval_batch_size=1,
            image_size=(800, 800),
            max_boxes=64,
            flip=True,
        ),
        optimizer=Optimizer(Momentum(), 1e-3, Step((60_000,)), l2=5e-4),
        steps=80_000,
        eval_every=10_000,
        save_every=10_000,
        monitor="map50",
    )
