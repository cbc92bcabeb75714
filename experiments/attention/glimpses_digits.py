"""Where to look next: scikit-learn's digits anywhere in a larger image, read by four glimpses.

    python launch.py --experiment=glimpses_digits

The recurrent attention model (Mnih et al. 2014) on the embedded digits of 8 x 8 pixels, each
somewhere in 20 x 20: a glimpse shows 5 x 5 pixels sharply and 10 x 10 coarsely.

Measured: 0.906 of the test digits right; 2 min 36 s of processor time. Seed 0, one core of an Intel
Xeon (AVX-512), jax 0.10.2.
"""

import jax

from nets.data.cluttered_digits import ClutteredDigits
from nets.elman import Elman
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.recurrent_attention import RecurrentAttention
from nets.tasks.classify_glimpses import ClassifyGlimpses
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=RecurrentAttention(
            glimpses=4, size=5, scales=2, cell=Elman(256, activation=jax.nn.relu)
        ),
        task=ClassifyGlimpses(),
        data=ClutteredDigits(name="digits", side=20, piece=4, eval_size=1000),
        optimizer=Optimizer(Adam(), 1e-3, Cosine(), warmup=100, clip_norm=5.0),
        steps=6000,
        eval_every=1000,
        save_every=1000,
        monitor="accuracy",
    )
