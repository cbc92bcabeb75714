"""Strings of spoken digits into text while they are spoken: what looking ahead is worth.

    python launch.py compare --experiment=transcribe_digits --data.path=FSDD

Measured: not trained to its end here, for want of time; 174,923 parameters.
"""

from nets.lstm import LSTM
from nets.recipes.speech import transcription
from nets.train.experiment import Experiment
from nets.transcriber import Transcriber


def experiment() -> Experiment:
    return variants()["both directions"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    forward = Transcriber(cell=LSTM(96), dropout=0.2)
    models = {"forward": forward}
    models |= {f"{k} ahead": forward.clone(bidirectional=True, lookahead=k) for k in (1, 3, 10, 30)}
    models["both directions"] = forward.clone(bidirectional=True)
    return {name: transcription(model) for name, model in models.items()}
