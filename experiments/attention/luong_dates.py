"""The same dates by local attention, which predicts the position to attend to: Luong et al. 2015.

    python launch.py --experiment=luong_dates

Each figure attends to seven characters around a position that the decoder predicts (local-p), and
is fed with what the one before it saw (input feeding). The encoder reads in one direction only, so
that a year in words is known no sooner than at its end. `--model.attention=global` attends to all.

Measured: all of 1,000 dates that are not in the training set are right, in_span 0.21 (these
weights sum to less than one, and lag behind the output); 2 min 43 s of training.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.dates import Dates
from nets.lstm import LSTM
from nets.luong import Luong
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.translate import Translate
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=Luong(cell=LSTM(128), embedding=32, score="general", attention="local-p", window=3),
        task=Translate(),
        data=Dates(batch_size=64),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=1500,
        eval_every=250,
        save_every=500,
        monitor="loss",
    )
