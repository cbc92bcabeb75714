"""The neural network playground: a decision surface bends while it learns, hidden units drawn.

    python launch.py --experiment=playground
    python launch.py --experiment=playground --data.kind=circles --model.widths=4
    python launch.py compare --experiment=playground --seed=0,1,2

Two spirals, two classes, a perceptron with two hidden layers, as on playground.tensorflow.org
(Smilkov et al. 2017). The picture `surface` shows the probability over the plane after 0 to 1,000
and all updates, `units` what each hidden unit has become.

Measured: test accuracy on spirals 0.970; mean of three seeds 0.982 (spread 0.01), on circles and
exclusive or 1.0, on Gaussians 0.999 (0.998 is expected of the best rule). 57 s, of which 9 s of
processor time; the comparison 6 min 40 s, of which 1 min 9 s.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from flax import linen as nn

from nets.data.plane import Plane
from nets.demos.playground import Playground
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=MLP(widths=(16, 8), num_classes=None, activation=nn.tanh),
        task=Playground(criterion="binary"),
        data=Plane(kind="spirals"),
        optimizer=Optimizer(Adam(), 1e-2, Cosine()),
        steps=3000,
        eval_every=500,
        save_every=3000,
    )


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    base = experiment()
    return {
        kind: dataclasses.replace(base, data=dataclasses.replace(base.data, kind=kind))
        for kind in ("circles", "spirals", "xor", "gaussians")
    }
