"""What each name in a line of Python is: function, class, parameter, call, ... Embedded text.

    python launch.py --experiment=tagging_python
    python launch.py compare --experiment=tagging_python      # reading 0, 1, 2 or all words ahead

Measured: not trained to its end here, for want of time; 355,512 parameters.
"""

from nets.data.conll import Conll
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tagger import Tagger
from nets.tasks.tag_words import TagWords
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["all ahead"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    model = Tagger(cell=LSTM(64), embedding=64, dropout=0.3, word_dropout=0.05)
    models = {f"{k} ahead": model.clone(lookahead=k) for k in (0, 1, 2)}
    models["all ahead"] = model
    return {name: _experiment(model) for name, model in models.items()}


def _experiment(model: Tagger) -> Experiment:
    return Experiment(
        model=model,
        task=TagWords(),
        data=Conll(name="python", lower=False, widths=(12, 24), max_length=50),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=1500,
        eval_every=500,
        save_every=500,
        monitor="accuracy",
    )
