"""Strings of generated words, sequences of tones, into text by CTC and a small LSTM.

    python launch.py --experiment=transcribe_tones

Measured: not trained to its end here, for want of time; 34,523 parameters.
"""

import dataclasses

from nets.data.audio import SpokenStrings
from nets.lstm import LSTM
from nets.recipes.speech import transcription
from nets.train.experiment import Experiment
from nets.transcriber import Transcriber


def experiment() -> Experiment:
    small = transcription(Transcriber(cell=LSTM(48), stack=4), steps=300)
    data = SpokenStrings(seconds=(2.0,), words=(1, 4), batch_size=16, eval_size=100)
    return dataclasses.replace(small, data=data, eval_every=100)
