"""Predicts the notes of MuseData, classical music as piano rolls, by an LSTM or a GRU.

    python launch.py --experiment=music_muse --data.path=MuseData.mat
    python launch.py --experiment=music_muse --data.path=MuseData.mat --model.cell=gru
    python launch.py sample --workdir=runs/music_muse-data.path=MuseData.mat

Samples are written as MIDI, which needs `pip install -e '.[music]'`.

A .mat file of Boulanger-Lewandowski et al. 2012; 524, 135 and 124 pieces. Pieces are moved by up to
six keys in training. The loss is in nats a frame, as of Bai et al. 2018.

Measured: 7.406 nats a test frame of the LSTM, accuracy 0.317; keys as often as in training 11.514,
going on as often 8.559; 2 min 29 s of processor time. Seed 0, one core of an AMD EPYC (AVX-512),
jax 0.10.2.
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
        model=PianoRollRNN(cell=LSTM(200), layers=1, dropout=0.3),
        task=NextNotes(),
        data=PianoRolls(
            path="MuseData.mat",
            transpose=6,
            length=100,
            batch_size=16,
            eval_batch_size=16,
        ),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=3000,
        eval_every=1000,
        save_every=1000,
        monitor="loss",
    )
