"""Speech out of noise by an LSTM that predicts a mask for each frame of the spectrogram.

    python launch.py --experiment=enhance_lstm --data.path=FSDD --data.noise=NOISE

Measured: not trained to its end here, for want of time; 289,929 parameters.
"""

from nets.enhancement import Enhancer, RecurrentMask
from nets.lstm import LSTM
from nets.recipes.speech import enhancement
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return enhancement(Enhancer(RecurrentMask(LSTM(200))))
