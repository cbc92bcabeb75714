"""How thirty layers are initialised decides whether they learn; normalisation and shortcuts help.

    python launch.py --experiment=initialisation
    python launch.py compare --experiment=initialisation --seed=0,1,2

Thirty layers of 100 ReLUs read digits. Before training `initialisers` draws the outputs and the
gradients of every layer, by initialiser, plain, with batch normalisation and with shortcuts (zeros
leave zeros, which no logarithmic axis has); `layers` those of the run before and after training.
Kernels of randn/100 leave sqrt(n)/100 of a signal in each layer of n linear units, 1e-15 in thirty
layers of 1,000 units of tanh (tests/demos/test_deep_mlp.py), 2e-35 in these ReLUs. Xavier's halve
the variance of a ReLU's output, He's do not. Batch normalisation keeps outputs, but its gradients
grow towards the first layer, the more the larger the kernels; with shortcuts outputs grow.

Measured: test accuracy over seeds 0, 1, 2 (mean and standard deviation), plain, with batch
normalisation, with shortcuts: zeros 0.072 each; randn/100 0.072, 0.595 (0.049), 0.963 (0.006);
Xavier 0.509 (0.129), 0.798 (0.049), 0.953 (0.005); He 0.915 (0.025), 0.354 (0.130), 0.931 (0.014);
orthogonal 0.482 (0.114), 0.398 (0.092), 0.970 (0.009). 2 s a network.
One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.data.images import Images
from nets.demos.deep_mlp import DeepMLP, LayerStatistics
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.train.experiment import Experiment
from nets.types import KernelInit

INITIALISERS: dict[str, KernelInit] = {
    "zeros": "zeros",
    "randn/100": "small",
    "Xavier": "xavier_normal",
    "He": "he_normal",
    "orthogonal": "orthogonal",
}


def experiment() -> Experiment:
    return Experiment(
        model=DeepMLP(depth=30, width=100),
        task=LayerStatistics(initialisers=tuple(INITIALISERS.values())),
        data=Images(name="digits", batch_size=64, eval_batch_size=180),
        optimizer=Optimizer(Adam(), 1e-3, Cosine(), clip_norm=1.0),
        steps=400,
        eval_every=200,
        save_every=400,
    )


def variants() -> dict[str, Experiment]:
    base = dataclasses.replace(experiment(), task=LayerStatistics())
    kinds = {
        "": {},
        ", batch norm": {"batch_norm": True},
        ", shortcuts": {"shortcut": True},
    }
    return {
        name + kind: dataclasses.replace(base, model=base.model.clone(kernel_init=init, **fields))
        for kind, fields in kinds.items()
        for name, init in INITIALISERS.items()
    }
