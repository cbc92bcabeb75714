"""Speech out of noise by a bidirectional LSTM that looks a few frames ahead, or at all.

    python launch.py compare --experiment=enhance_lookahead --data.path=FSDD --data.noise=NOISE

Measured: not trained to its end here, for want of time; 290,685 parameters.
"""

from nets.enhancement import Enhancer, RecurrentMask
from nets.lstm import LSTM
from nets.recipes.speech import enhancement
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["3 frames"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    both = RecurrentMask(LSTM(126), bidirectional=True)
    networks = {"3 frames": both.clone(lookahead=3), "all of it": both}
    return {name: enhancement(Enhancer(network)) for name, network in networks.items()}
