"""Learns to play canons, generated ones: the second voice repeats the first 32 frames later.

    python launch.py --experiment=music_canon
    python launch.py --experiment=music_canon --model.cell=gru

Measured: not trained to its end here, for want of time; 232,792 parameters.
"""

from nets.data.piano_rolls import PianoRolls
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.piano_roll import PianoRollRNN
from nets.tasks.next_notes import NextNotes
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=PianoRollRNN(cell=LSTM(192, chrono=64), layers=1, dropout=0.2),
        task=NextNotes(temperature=0.8),
        data=PianoRolls(name="canon", transpose=3, length=64, batch_size=16, eval_batch_size=5),
        optimizer=Optimizer(Adam(), 5e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=4000,
        eval_every=1000,
        save_every=1000,
        monitor="loss",
    )
