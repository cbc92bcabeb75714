"""A Neural Turing Machine recalls which item came after another: Graves et al. 2014.

    python launch.py --experiment=ntm_recall
    python launch.py --experiment=ntm_recall --variant=feedforward
    python launch.py --experiment=ntm_recall --variant=lstm

Items are of three vectors of 6 bits; trained on 2 to 6 items, the test has also 8, 12 and 15. The
LSTM has the 1,344,518 parameters of the paper's.

Measured: of the LSTM controller 0.001 bits a test sequence; of 8, 12 and 15 items 0.002, 0.004 and
0.039 bits, no bit wrong; 7 min 56 s of processor time, 114,134 parameters. Of the LSTM 12.1 of 18
bits; of 8, 12 and 15 items 17.1, 19.7 and 19.3; 9 min 40 s. Seed 0, one core of an AMD EPYC
(AVX-512), jax 0.10.2.
"""

from nets.data.algorithms import AssociativeRecall
from nets.ntm import compared_models
from nets.recipes.algorithms import compared
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["lstm controller"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    data = AssociativeRecall(batch_size=16, eval_size=200, eval_batch_size=50)
    return compared(data, 12000, compared_models(256, heads=4))
