"""Blood cells of three kinds found by Faster R-CNN: real photographs, trained from scratch.

    git clone https://github.com/Shenggan/BCCD_Dataset
    python launch.py --experiment=faster_rcnn_blood_cells --data.path=BCCD_Dataset/BCCD

Ren et al. 2015, on a ResNet of three blocks at a stride of 8, on 364 microscope photographs with
4,888 boxes: 205 to train on, 87 to choose by and 72 to test on, as their authors divide them,
mirrored both ways, for cells have no upper side. Anchors are squares of the sizes that the cells
have at 240 x 320 pixels: platelets 20, red cells 50, white cells 75 to 105. Features of regions
are those of RoI align (He et al. 2017).

Measured: mAP at an IoU of 0.5 on the photographs of the test 0.889, on those of the validation
0.876; 12 min. The boxes were in a table, boxes.csv, whose upper left corners are a pixel from the
XML's. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.detection import DetectionImages
from nets.faster_rcnn import FasterRCNN
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.resnet import ResNet
from nets.tasks.detect import Detect
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    model = FasterRCNN(
        backbone=ResNet((1, 2), "basic", width=32, num_classes=0),
        multiple=8,
        stages=("layer2",),
        pyramid=None,
        sizes=(20.0, 50.0, 75.0, 105.0),
        ratios=(1.0,),
        hidden=256,
        candidates=(400, 400),
        proposals=(100, 100),
        anchors_per_image=128,
        regions_per_image=64,
        limit=50,
    )
    return Experiment(
        model=model,
        task=Detect(),
        data=DetectionImages(
            drop_empty=True,
            classes=("Platelets", "RBC", "WBC"),
            batch_size=8,
            image_size=(240, 320),
            max_boxes=30,
            flip=True,
            flip_vertical=True,
            scale=0.2,
            shift=0.2,
            exposure=1.5,
        ),
        optimizer=Optimizer(Adam(), 1e-3, Cosine(), warmup=100),
        steps=1000,
        eval_every=250,
        monitor="map50",
        average=EMA(0.995),
    )
