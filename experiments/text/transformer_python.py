"""A Transformer that writes Python, beside an LSTM of as many parameters; no download.

    python launch.py --experiment=transformer_python
    python launch.py sample --workdir=runs/transformer_python --prompt='def '
    python launch.py compare --experiment=transformer_python --seed=0,1,2

Both read as many characters of the embedded text of char_lstm_python: the LSTM in streams, whose
carry goes on, the Transformer in windows of 128 from anywhere in the text, each by itself.
`--model.positions=rotary` or sinusoidal, and `--model.norm=post`, are the other forms.

Measured: 2.264 bits per symbol on the test files, of the LSTM 1.966; 10 min 12 s of processor time
both. With the Transformer's share of it, 6 min, the LSTM has 1.877 (--variant=LSTM --steps=2226).
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.data.text import Text
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam, AdamW
from nets.optim.schedules import Cosine
from nets.recurrent_lm import RecurrentLM
from nets.tasks.next_token import NextToken
from nets.train.experiment import Experiment
from nets.transformer import TransformerLM


def experiment() -> Experiment:
    return Experiment(
        model=TransformerLM(
            vocab_size=None, features=128, heads=4, layers=4, hidden=576, context=128
        ),
        task=NextToken(),
        data=Text(name="python", order="random", batch_size=16, length=128, eval_batch_size=128),
        optimizer=Optimizer(
            AdamW(b2=0.99, weight_decay=0.1), 2e-3, Cosine(0.1), warmup=100, clip_norm=1.0
        ),
        steps=1600,
        eval_every=400,
        save_every=400,
        monitor="loss",
    )


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    lstm = dataclasses.replace(
        experiment(),
        model=RecurrentLM(vocab_size=None, cell=LSTM(256), layers=2),
        data=Text(name="python", batch_size=32, length=64, eval_batch_size=128),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=100, clip_norm=1.0),
    )
    return {"Transformer": experiment(), "LSTM": lstm}
