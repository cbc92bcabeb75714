"""INPUT -> [CONV -> RELU -> POOL] * 2 -> FC -> RELU -> FC on digits; all of it flags.

    python launch.py --experiment=conv_scheme

The pattern of most convolutional networks, on scikit-learn's digits enlarged to 16x16. Two
convolutions a stage, another pooling or no hidden layer:

    python launch.py --experiment=conv_scheme --model.convolutions=2 --model.windows=5,3
    python launch.py --experiment=conv_scheme --model.pooling=average --model.hidden=
"""

import dataclasses

from nets.conv_scheme import ConvScheme
from nets.data.images import Images
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=ConvScheme(num_classes=None, dropout=0.2),
        task=Classify(),
        data=Images(
            name="digits", image_size=16, batch_size=64, eval_batch_size=180, rotate=10.0, shift=1.0
        ),
        optimizer=Optimizer(Adam(), 2e-3, Cosine(), warmup=100),
        steps=1500,
        eval_every=300,
        save_every=300,
        monitor="loss",
    )


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    base = experiment()
    changes = {
        "linear": {"widths": (), "hidden": ()},
        "MLP": {"widths": ()},
        "one stage": {"widths": (16,)},
        "two stages": {},
        "two convolutions a stage": {"convolutions": (2,)},
        "without pooling": {"pooling": "none"},
    }
    return {
        name: dataclasses.replace(base, model=base.model.clone(**fields))
        for name, fields in changes.items()
    }
