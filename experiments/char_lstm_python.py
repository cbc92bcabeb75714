"""A character LSTM that writes Python, trained on the standard library of the Python that runs it.

    python launch.py --experiment=char_lstm_python
    python launch.py sample --workdir=runs/char_lstm_python --prompt='def '

Two layers of 256 units and truncated back-propagation through 64 characters, the carry going from
segment to segment (Graves 2013; Karpathy 2015). The text differs a little between versions of
Python.

Measured: pending
"""

from nets.char_lm import CharLM
from nets.data.text import Text
from nets.tasks.language_model import LanguageModel
from nets.train.experiment import Experiment
from nets.train.optimizer import Optimizer


def experiment() -> Experiment:
    return Experiment(
        model=CharLM(vocab_size=None, features=256, layers=2),
        task=LanguageModel(),
        data=Text(name="python", batch_size=32, length=64, eval_batch_size=32),
        optimizer=Optimizer(
            rule="adam", learning_rate=3e-3, schedule="cosine", warmup_steps=100, clip_norm=1.0
        ),
        steps=1600,
        eval_every=200,
        save_every=200,
        best="loss",
    )
