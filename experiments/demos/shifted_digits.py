"""Why weights are shared: full, local and convolutional nets on digits that are moved.

    python launch.py --experiment=shifted_digits

Three nets of the same depth and units, which differ in what a unit sees and in whether positions
share weights (LeCun 1989, "Generalization and network design strategies"), learn side by side from
8x8 digits on a canvas of 20x20, moved by up to two pixels. The picture `shifts` shows how each
reads digits that are moved further.

Measured: of test digits moved by four pixels the convolutional net, of 3,594 parameters, reads
0.954, the local one (342,570) 0.065, the full one (1,602,570) 0.073; where they were trained, in
the middle, 0.969, 0.919 and 0.969. 2 min 24 s, of which 55 s of processor time.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.connectivity import EachConnected
from nets.demos.shared_weights import CompareConnections, ShiftedImages
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=EachConnected(features=(8, 16), window=5, strides=(2, 1)),
        task=CompareConnections(),
        data=ShiftedImages(name="digits", margin=6, shift=2),
        optimizer=Optimizer(Adam(), 3e-3, Cosine()),
        steps=1200,
        eval_every=300,
        save_every=1200,
    )
