"""German into English without attention, by deep LSTMs: Sutskever et al. 2014 on Multi30k.

    python launch.py --experiment=sutskever_multi30k --data.folder=MULTI30K
    python launch.py compare --experiment=sutskever_multi30k --data.folder=MULTI30K

Needs: the extra translate.

LSTMs of 128 cells, a vocabulary of 2,000 subwords for both languages. That reading the source from
its end helps is found at every depth; that depth helps is not, after five passes over the 29,000
sentences: deeper networks learn more slowly.

Measured: BLEU of test_2016_flickr (sacrebleu 13a, cased, a beam of 5) with 1, 2 and 4 layers 14.4,
13.1 and 11.5, of sources read forwards 11.6, 11.3 and 9.0; 3 min 50 s, 5 min 40 s and 8 min 40 s of
processor time. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.encoder_decoder import Seq2Seq
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.recipes.translation import multi30k
from nets.tasks.translate import Translate
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["2 layers, reversed"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    return {
        f"{layers} layers, {'reversed' if reverse else 'forwards'}": _experiment(layers, reverse)
        for layers in (1, 2, 4)
        for reverse in (True, False)
    }


def _experiment(layers: int, reverse: bool) -> Experiment:
    return Experiment(
        model=Seq2Seq(cell=LSTM(128), embedding=128, layers=layers, reverse=reverse, dropout=0.1),
        task=Translate(smoothing=0.1, beam=5, length_penalty=1.0),
        data=multi30k(vocab_size=2000, batch_size=32),
        optimizer=Optimizer(Adam(), 2e-3, Cosine(), warmup=200, clip_norm=1.0),
        steps=5000,
        eval_every=1000,
        save_every=1000,
        monitor="loss",
    )
