"""A Neural Turing Machine copies a sequence as often as it is told: Graves et al. 2014.

    python launch.py --experiment=ntm_repeat_copy
    python launch.py --experiment=ntm_repeat_copy --variant='lstm controller'
    python launch.py --experiment=ntm_repeat_copy --variant=lstm

Trained on 1 to 10 vectors of 6 bits and 1 to 10 times; the test has also 20 vectors and 20 times.
The LSTM has the 5,312,007 parameters of the paper's. Updates count, not sequences: 128,000 of
them in batches of 16 taught nothing.

Measured: not trained to its end here, for want of time; 61,959 parameters.
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
    return compared(data, 40_000, compared_models(512))
