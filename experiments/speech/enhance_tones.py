"""Harmonic tones out of noise by a small LSTM: a mask over the spectrogram, generated data.

    python launch.py --experiment=enhance_tones

Measured: not trained to its end here, for want of time; 58,049 parameters.
"""

import dataclasses

from nets.data.audio_noise import NoisySpeech
from nets.enhancement import Enhancer, RecurrentMask
from nets.lstm import LSTM
from nets.recipes.speech import enhancement
from nets.tasks.enhance import Enhance
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    small = enhancement(Enhancer(RecurrentMask(LSTM(64))), steps=300)
    return dataclasses.replace(
        small,
        task=Enhance(stoi=False),  # which is for speech
        data=NoisySpeech(duration=1.0, batch_size=8, eval_size=20),
        eval_every=100,
    )
