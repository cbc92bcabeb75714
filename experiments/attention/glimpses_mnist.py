"""MNIST by six glimpses of 8 x 8 pixels: the recurrent attention model chooses where to look.

    python launch.py --experiment=glimpses_mnist --data.data_dir=~/tensorflow_datasets
    python launch.py predict --workdir=RUN --input=digit.png

Mnih et al. 2014, table 1: one scale, a core of 256 rectifiers, locations by REINFORCE. Published,
with 6 glimpses: an error of 1.12% in the proceedings, of 1.29% in the first version on arXiv.

Measured: error 1.23% on the test digits; 29 min 42 s of processor time. Seed 0, one core of an AMD
EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.images import Images
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.recurrent_attention import RecurrentAttention
from nets.tasks.classify_glimpses import ClassifyGlimpses
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=RecurrentAttention(glimpses=6, size=8, scales=1, location_std=0.15),
        task=ClassifyGlimpses(),
        data=Images(
            name="mnist", batch_size=128, eval_batch_size=500, validation=1 / 12, normalise="unit"
        ),
        optimizer=Optimizer(Adam(), 1e-3, Cosine(), warmup=200, clip_norm=5.0),
        steps=130_000,
        eval_every=6500,
        save_every=6500,
        monitor="accuracy",
    )
