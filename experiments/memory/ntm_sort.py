"""A Neural Turing Machine sorts vectors by their priority: Graves et al. 2014.

    python launch.py --experiment=ntm_sort
    python launch.py --experiment=ntm_sort --variant='lstm controller'
    python launch.py --experiment=ntm_sort --variant=lstm

Of 20 vectors of 8 bits the 16 of the highest priority are to be given, the highest first. The LSTM
has 348,424 parameters, where the paper prints 384,424.

Measured: not trained to its end here, for want of time; 47,896 parameters.
"""

from nets.data.algorithms import PrioritySort
from nets.ntm import compared_models
from nets.recipes.algorithms import compared
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["feedforward"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    data = PrioritySort(batch_size=16, eval_size=200, eval_batch_size=50)
    return compared(data, 10000, compared_models(128, heads=4))
