"""Speech out of noise by a bidirectional LSTM that looks a few frames ahead, or at all.

    python launch.py compare --experiment=enhance_lookahead --data.path=FSDD --data.noise=NOISE

Measured: SI-SDR of the test sounds is 8.46 dB better with three frames (48 ms) ahead: 4.69, 8.56
and 12.10 dB from -5, 0 and 5, STOI 0.736, 0.813 and 0.865; with all of the sound 8.60 dB: 4.93,
8.67 and 12.18, STOI 0.749, 0.820 and 0.871; 93 s and 56 s. Seed 0, one core of an AMD EPYC
(AVX-512), jax 0.10.2.
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
