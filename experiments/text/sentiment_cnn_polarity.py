"""Is a sentence of a review for or against the film? By a convolution over its words: Kim 2014.

    python launch.py --experiment=sentiment_cnn_polarity --data.path=RT_POLARITY --seed=0,1,2

The data and its split as of `sentiment_polarity`; windows of three, four and five words.

Measured: test accuracy 0.777 +- 0.014 (0.761, 0.787 and 0.782 with seeds 0, 1 and 2); 52 s of
processor time each. One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.sentences import Sentences
from nets.optim.optimizer import Optimizer
from nets.optim.rules import AdamW
from nets.optim.schedules import Cosine
from nets.tasks.classify_sentence import ClassifySentence
from nets.text_cnn import TextCNN
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=TextCNN(),
        task=ClassifySentence(),
        data=Sentences(widths=(20, 30)),
        optimizer=Optimizer(AdamW(), 1e-3, Cosine(), warmup=50),
        steps=600,
        eval_every=100,
        save_every=300,
        monitor="accuracy",
    )
