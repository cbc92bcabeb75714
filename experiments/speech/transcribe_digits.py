"""Strings of spoken digits into text while they are spoken: what looking ahead is worth.

    python launch.py compare --experiment=transcribe_digits --data.path=FSDD

Steps are of 40 ms. The time is that from the end of a word to when a stream has read all that its
symbol needs; below 0 the network is sure before the word ends. In one picture:

    python -m nets.cli.tradeoff --x=delay_ms --y=error_rate forward=RUN "10 ahead=RUN" ...

Measured: error rates on the 909 digits of 300 strings of unseen recordings, and that time: forward
0.013 (-216 ms), 1 step ahead 0.017 (-244), 3 ahead 0.010 (-184), 10 ahead 0.0033 (83), 30 ahead
0.0066 (604), both directions 0.0055 (948); by beam search 0.0099, 0.013, 0.0099, 0.0033, 0.0066,
0.0033. One digit is 0.0011, so the last three are not told apart. 55 s to 7 min 50 s. Seed 0, one
core of an AMD EPYC (AVX-512), jax 0.10.2.
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
