"""Which module of Python's standard library is a sentence of its documentation about?

    python launch.py --experiment=modules_python
    python launch.py predict --workdir=runs/modules_python --prompt='Move the turtle forward.'

Sentences of this Python's own docstrings, of the eight modules that have most: embedded, without a
download. Python 3.11 has 1,775 of them; a tenth is the test.

Measured: 0.814 of 177 test sentences right; 2 min 30 s beside a dozen other programs on two cores.
Seed 0, AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.sentences import Sentences
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import AdamW
from nets.optim.schedules import Cosine
from nets.sentence_classifier import SentenceClassifier
from nets.tasks.classify_sentence import ClassifySentence
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=SentenceClassifier(
            cell=LSTM(64), embedding=64, pooling="attention", dropout=0.5, word_dropout=0.1
        ),
        task=ClassifySentence(),
        data=Sentences(name="modules"),
        optimizer=Optimizer(AdamW(), 3e-3, Cosine(), warmup=30, clip_norm=1.0),
        steps=400,
        eval_every=50,
        save_every=200,
        monitor="accuracy",
    )
