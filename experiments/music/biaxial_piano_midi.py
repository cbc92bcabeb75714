"""The bi-axial network of Johnson on Piano-midi.de: over time for each key, then over the keys.

    python launch.py --experiment=biaxial_piano_midi --data.path=Piano_midi.mat
    python launch.py sample --workdir=runs/biaxial_piano_midi-data.path=Piano_midi.mat

Samples are written as MIDI, which needs `pip install -e '.[music]'`.

The same pieces as music_piano_midi. The weights are those of every key, so that a melody learnt in
one key is known in all, and the keys of a frame depend on each other. Of the paper's 300, 300, 100
and 50 units 64, 64, 32 and 32 are left.

Measured: 6.691 nats a test frame, accuracy 0.346 (music_piano_midi: 7.790); keys as often as in
training 11.052, going on as often 8.264; 2 min 45 s of processor time. Seed 0, one core of an AMD
EPYC (AVX-512), jax 0.10.2.
"""

from nets.biaxial import Biaxial
from nets.data.piano_rolls import PianoRolls
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.next_notes import NextNotes
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=Biaxial(time=LSTM(64), notes=LSTM(32), dropout=0.1),
        task=NextNotes(),
        data=PianoRolls(
            path="Piano_midi.mat",
            transpose=6,
            length=64,
            batch_size=4,
            eval_batch_size=8,
        ),
        optimizer=Optimizer(Adam(), 5e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=500,
        eval_every=250,
        save_every=250,
        monitor="loss",
    )
