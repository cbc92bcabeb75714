"""Speech out of noise by a simple recurrent network, the LSTM's predecessor.

    python launch.py --experiment=enhance_rnn --data.path=FSDD --data.noise=NOISE

Measured: pending
"""

from nets.elman import Elman
from nets.enhancement import RecurrentMask
from nets.recipes.enhancement import speech_in_noise
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return speech_in_noise(RecurrentMask(Elman(425)))
