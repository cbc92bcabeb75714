"""Histograms of oriented gradients and a linear classifier: features made by hand, as a baseline.

    python launch.py --experiment=hog_digits
    python launch.py --experiment=hog_digits --data.name=mnist --data.eval_batch_size=1000

Needs: the extra hog.

Dalal and Triggs 2005. The digits are enlarged to 28x28, so that one setting serves MNIST too.

Measured: test accuracy 0.989; 51 s, of which 9 s of processor time. On MNIST with --steps=5000
--eval_every=1000, 0.978; 2 min 32 s, most of it for the features, which are kept for later runs.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.hog import HOG
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=MLP(widths=(), num_classes=None),
        task=Classify(),
        data=HOG(name="digits", image_size=28, cell=4, block=2, batch_size=128),
        optimizer=Optimizer(Adam(), 5e-3, Cosine()),
        steps=1500,
        eval_every=250,
        save_every=1500,
        monitor="accuracy",
    )
