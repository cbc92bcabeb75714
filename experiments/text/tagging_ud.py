"""Parts of speech of English words, by their letters and by the words around them.

    python launch.py --experiment=tagging_ud --data.path=UD/train.tsv.gz \
        --data.validation_path=UD/dev.tsv.gz --data.test_path=UD/test.tsv.gz
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
    return Experiment(
        model=Tagger(cell=LSTM(100), dropout=0.5, word_dropout=0.05),
        task=TagWords(),
        data=Conll(),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), warmup=100, clip_norm=1.0),
        steps=3100,
        eval_every=400,
        save_every=800,
        monitor="accuracy",
    )
