"""A character LSTM on Tiny Shakespeare (Karpathy 2015), by truncated back-propagation through time.

    python launch.py --experiment=char_lstm_shakespeare --data.data_dir=~/tensorflow_datasets
    python launch.py sample --workdir=runs/char_lstm_shakespeare --prompt='ROMEO:'

The first 90% of the text train, the last 10% validate, and there is no test split.

Measured: validation loss 1.489 nats (2.149 bits) per character; 18 min 42 s; extended to 6,000
steps, 1.479. Seed 0, two cores of an AMD EPYC (AVX-512), jax 0.10.2; by the
code of 2026-11-20.
"""

from nets.data.text import Text
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.recurrent_lm import RecurrentLM
from nets.tasks.next_token import NextToken
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=RecurrentLM(vocab_size=65, cell=LSTM(256), layers=2, dropout=0.2),
        task=NextToken(),
        data=Text(name="tiny_shakespeare", batch_size=32, length=64, eval_batch_size=32),
        optimizer=Optimizer(Adam(), 4e-3, Cosine(), warmup=100, clip_norm=1.0),
        steps=4000,
        eval_every=500,
        save_every=500,
        monitor="loss",
    )
