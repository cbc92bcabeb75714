"""Dates in many written forms into one, by a Transformer: Vaswani et al. 2017.

    python launch.py --experiment=transformer_dates

As attention_dates, without recurrence: two layers read, two write. The attention that is drawn, and
measured by in_span, is the mean over layers and heads.

Measured: 0.996 of the test dates right from first symbol to last; 2 min 4 s of processor time.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.dates import Dates
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.translate import Translate
from nets.train.experiment import Experiment
from nets.transformer import Transformer


def experiment() -> Experiment:
    return Experiment(
        model=Transformer(features=64, heads=4, layers=2, hidden=128, context=64, norm="pre"),
        task=Translate(),
        data=Dates(batch_size=64),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=100, clip_norm=1.0),
        steps=1500,
        eval_every=250,
        save_every=500,
        monitor="loss",
    )
