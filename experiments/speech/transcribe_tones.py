"""Strings of generated words, sequences of tones, into text by CTC and a small LSTM.

    python launch.py --experiment=transcribe_tones

Measured: error rate 0.0 and exact match 1.0 on 100 test strings; a word is written 100 ms before it
ends (delay_ms -99.5); 18 s. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.data.audio_strings import SpokenStrings
from nets.lstm import LSTM
from nets.recipes.speech import transcription
from nets.train.experiment import Experiment
from nets.transcriber import Transcriber


def experiment() -> Experiment:
    small = transcription(Transcriber(cell=LSTM(48), stack=4), steps=600)
    data = SpokenStrings(seconds=(2.0,), words=(1, 4), batch_size=16, eval_size=100)
    return dataclasses.replace(small, data=data, eval_every=200)
