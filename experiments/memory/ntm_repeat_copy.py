"""A Neural Turing Machine copies a sequence as often as it is told: Graves et al. 2014.

    python launch.py --experiment=ntm_repeat_copy
    python launch.py --experiment=ntm_repeat_copy --variant='lstm controller'
    python launch.py --experiment=ntm_repeat_copy --variant=lstm

Trained on 1 to 10 vectors of 6 bits and 1 to 10 times; the test has also 20 vectors and 20 times.
The LSTM has the 5,312,007 parameters of the paper's. Updates count, not sequences: 128,000 of
them in batches of 16 taught nothing. When it is found is chance: with --steps=40000 the same seed
had 0.19 right.

Measured: of the LSTM controller 22.5 bits a test sequence, 0.88 of them right; nothing of 20
vectors or 20 times, 0.38 and 0.39 of the bits wrong; 8 min 9 s of processor time, 61,959
parameters. Of the feed-forward controller 34.4 bits, 0.855 right; 3 min 40 s. The LSTM is not
trained here, for want of time. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.algorithms import RepeatCopy
from nets.ntm import compared_models
from nets.recipes.algorithms import compared
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["lstm controller"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    data = RepeatCopy(
        batch_size=4, eval_size=200, eval_batch_size=50, steps_multiple=16, longer_rows=20
    )
    return compared(data, 24_000, compared_models(512))
