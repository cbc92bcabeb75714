"""Learns to play canons, generated ones: the second voice repeats the first 32 frames later.

    python launch.py --experiment=music_canon
    python launch.py --experiment=music_canon --model.cell=gru
    python launch.py sample --workdir=runs/music_canon        # MIDI: pip install -e '.[music]'

Three voices over the chords of Pachelbel's canon; key, melody and length are drawn anew for each of
150 pieces. The ground bass and two of the voices can be known from what was played a round before;
the first voice is new throughout.

Measured: 2.290 nats a test frame, accuracy 0.676; keys as often as in training 9.975, going on as
often 5.441; 1 min 24 s of processor time. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
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
        steps=2400,
        eval_every=600,
        save_every=600,
        monitor="loss",
    )
