"""YOLO of 24 convolutions on PASCAL VOC 2007, by the recipe of the paper.

    python launch.py --experiment=yolo_voc --data.data_dir=~/tensorflow_datasets

Redmon et al. 2016, section 2.2: images of 448 x 448 pixels, batches of 64, momentum 0.9, weight
decay 5e-4, 135 epochs at a rate that rises to 1e-2, a tenth of it after 75 epochs and a hundredth
after 105; scaled and shifted by up to 20%, exposure and saturation changed by up to 1.5; dropout
0.5 after the first fully connected layer. The paper reports a mean average precision of 63.4 on the
test images of 2007 after training on 2007 and 2012. Files of one's own, such as those of both years
in one folder, by `--data.path=FOLDER`; the fast form by `--model.form=fast`, that on VGG-16 by
`--model.form=vgg16`.

The first 20 convolutions of the paper's net are trained on ImageNet before; here they start as He
et al. 2015. The rate rises over the first five epochs, whose number is not published, from 0
instead of 1e-3. Images are stretched and mirrored half of the time, as in the authors' program;
weight decay spares biases here. All of the training and validation images are trained on.

Measured: not trained here, for want of the data; 271,703,550 parameters.
"""

from nets.data.detection import DetectionImages
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.optim.schedules import Step
from nets.tasks.detect import Detect
from nets.train.experiment import Experiment
from nets.types import Epochs, epochs
from nets.yolo import YOLO


def experiment() -> Experiment:
    return Experiment(
        model=YOLO("full"),
        task=Detect(),
        data=DetectionImages(
            name="voc/2007",
            trainval=True,
            batch_size=64,
            image_size=(448, 448),
            fit="stretch",
            max_boxes=64,
            flip=True,
            scale=0.2,
            shift=0.2,
            exposure=1.5,
            normalise="unit",
        ),
        optimizer=Optimizer(Momentum(), 1e-2, Step(epochs(75, 105)), warmup=Epochs(5), l2=5e-4),
        epochs=135,
        eval_every=Epochs(5),
        save_every=Epochs(5),
        monitor="map50",
    )
