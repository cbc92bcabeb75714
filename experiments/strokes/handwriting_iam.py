"""Handwriting synthesis on IAM-OnDB by the recipe of Graves 2013: any text, in a person's hand.

    python launch.py --experiment=handwriting_iam --data.path=IAM-OnDB
    python launch.py --experiment=handwriting_iam --data.path=IAM-OnDB --model.window=0
    python launch.py sample --workdir=runs/handwriting_iam-data.path=IAM-OnDB --prompt='any text'

The folder holds lineStrokes and ascii, and the lists of forms trainset.txt, testset_v.txt,
testset_t.txt and testset_f.txt (Liwicki and Bunke 2005, by registration). Section 5: three layers
of 400 cells, 20 Gaussians, a window of 10 over the text, 52 letters, space, full stop, comma and
apostrophe, and one symbol for every other character; RMSProp with momentum and the published rates,
without the mean of the gradients in its denominator (equations 38 to 45). The second command is the
prediction network of section 4. Published, in nats a line on validation: -1,041.0 of prediction,
-1,096.9 of synthesis.

Measured: not trained here, for want of the data; 3,658,551 parameters.
"""

import string

from nets.data.strokes import Strokes
from nets.handwriting import Handwriting
from nets.optim.optimizer import Optimizer
from nets.optim.rules import RMSpropTF
from nets.tasks.next_point import NextPoint
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=Handwriting(layers=3, mixtures=20, window=10),
        task=NextPoint(length=1000),
        data=Strokes(
            path="IAM-OnDB",
            symbols=" .,'" + string.ascii_letters,
            max_points=1500,
            widths=(300, 450, 600, 750, 1000),
            batch_size=20,
            eval_batch_size=50,
        ),
        optimizer=Optimizer(RMSpropTF(decay=0.95, eps=1e-4, momentum=0.9), 1e-4),
        steps=40_000,
        eval_every=1000,
        save_every=1000,
        monitor="loss",
    )
