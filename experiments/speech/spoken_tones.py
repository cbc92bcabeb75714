"""Generated words, sequences of tones by six voices, told apart by a small CLDNN.

    python launch.py --experiment=spoken_tones

Measured: not trained to its end here, for want of time; 23,798 parameters.
"""

import dataclasses

from nets.cldnn import CLDNN
from nets.data.audio import SpokenWords
from nets.recipes.speech import classification
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    model = CLDNN(conv=(8, 12), linear=32, lstm=(48,), dense=(48,))
    small = classification(model, steps=200)
    return dataclasses.replace(small, data=SpokenWords(seconds=(0.5,)), eval_every=100)
