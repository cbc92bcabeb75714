"""A Neural Turing Machine counts what comes after each context of five bits: Graves et al. 2014.

    python launch.py --experiment=ntm_ngrams
    python launch.py --experiment=ntm_ngrams --variant=feedforward
    python launch.py --experiment=ntm_ngrams --variant=lstm

Each sequence of 200 bits has a model of its own, drawn at random. `optimal` is what the best
estimator needs. The LSTM has the 331,905 parameters of the paper's.

Measured: of the LSTM controller 135.6 bits a test sequence, the best estimator 130.4; 6 min 8 s
of processor time, 58,433 parameters. Of the LSTM 167.1 bits; 7 min 7 s. Seed 0, one core of an AMD
EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.ngrams import NGrams
from nets.ntm import compared_models
from nets.recipes.algorithms import compared
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["lstm controller"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    return compared(
        NGrams(batch_size=16, eval_size=200, eval_batch_size=50), 4000, compared_models(128)
    )
