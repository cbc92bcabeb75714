r"""German into English on Multi30k by a Transformer (Vaswani et al. 2017), as attention_multi30k.

    python launch.py --experiment=transformer_multi30k --data.folder=MULTI30K
    python launch.py sample --workdir=runs/transformer_multi30k-data.folder=MULTI30K \
        --prompt='Ein Mann schläft auf einem Sofa.'

Needs: the extra translate.

Three layers of 256 channels read, three write; one table of vectors serves both languages and the
output. The data, the smoothing and the beam are those of attention_multi30k, whose model has
5.4 million parameters. Layer normalisation stands before each part (norm="pre", Xiong et al. 2020).

The folder has train.de.gz, val.de.gz, test_2016_flickr.de.gz and the same in .en.gz (Elliott et al.
2016), one sentence per line, as published. BLEU is sacrebleu's, 13a, cased.

Measured: BLEU 39.64 on test_2016_flickr; 4,978,688 parameters; 50 min 40 s. Bahdanau's model there:
39.98 in 40 min 13 s. Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.recipes.translation import multi30k
from nets.tasks.translate import Translate
from nets.train.experiment import Experiment
from nets.transformer import Transformer


def experiment() -> Experiment:
    return Experiment(
        model=Transformer(
            features=256,
            heads=4,
            layers=3,
            hidden=512,
            context=48,
            norm="pre",
            share=True,
            dropout=0.2,
        ),
        task=Translate(smoothing=0.1, beam=5, length_penalty=1.0),
        data=multi30k(vocab_size=4000, batch_size=64),
        optimizer=Optimizer(Adam(b2=0.98), 1e-3, Cosine(), warmup=400, clip_norm=1.0),
        steps=5400,
        eval_every=540,
        save_every=540,
        monitor="loss",
    )
