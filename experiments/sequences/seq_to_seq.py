"""Sequence to sequence: "two thousand and forty-one" is 2041, letter by letter.

    python launch.py --experiment=seq_to_seq

One network reads the words, its carry starts another that writes the figures (Sutskever et al.
2014); there is no attention. The numbers that it is tested on are not in the training set;
`exact_match` is the share of those that it writes without a mistake.

Measured: exact_match 0.999 on numbers that are not in the training set; 50 s.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.sequences import NumberWords
from nets.encoder_decoder import Seq2Seq
from nets.gru import GRU
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.translate import Translate
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=Seq2Seq(cell=GRU(128)),
        task=Translate(),
        data=NumberWords(maximum=9999, batch_size=64),
        optimizer=Optimizer(Adam(), 5e-3, Cosine(), warmup=50, clip_norm=1.0),
        steps=1200,
        eval_every=200,
        save_every=600,
        monitor="loss",
    )
