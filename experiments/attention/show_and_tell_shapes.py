"""Captions of synthetic scenes from one vector of the image: what attention is measured against.

    python launch.py --experiment=show_and_tell_shapes

The backbone, the words and the updates of `show_attend_tell_shapes`; but the LSTM is given the
image once, as its first word (Vinyals et al. 2015).

Measured: 0.067 of test captions right, 0.916 right but for sizes, colours and shapes (relation);
5 min 7 s.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.caption import ShowAndTell
from nets.convnet import ConvNet
from nets.data.shapes import Shapes
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.caption import Caption
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=ShowAndTell(
            ConvNet(widths=(8, 24, 48), windows=(5, 3, 5), num_classes=0),
            features=128,
            embedding=64,
        ),
        task=Caption(references="any"),
        data=Shapes(batch_size=32),
        optimizer=Optimizer(Adam(), 2e-3, Cosine(), warmup=100, clip_norm=1.0),
        steps=4000,
        eval_every=1000,
        save_every=1000,
        monitor="exact_match",
    )
