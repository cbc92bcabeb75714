r"""Linear regression on scikit-learn's diabetes table, by squared, absolute and Huber loss.

    python launch.py --experiment=regression_diabetes
    python launch.py compare --experiment=regression_diabetes --seed=0,1,2
    python launch.py --experiment=regression_diabetes --model.widths=32 --data.path=mine.csv \
        --data.target=COLUMN

The progression of the disease a year later, from ten measurements of 442 patients. Errors are in
the unit of the target, whose standard deviation is 77. The squared loss is that of scikit-learn's
LinearRegression, which a test compares the weights with.

Measured: root mean squared error 58.2 on the test rows, R^2 0.332 (scikit-learn's on the same rows:
58.1, 0.336); means of three seeds 58.6 (squared), 60.0 (absolute), 58.7 (Huber), mean absolute
errors 45.7, 47.8, 46.0 (spread 0.3 or less): without outliers the squared loss is as good. 54 s, of
which 8 s of processor time; the comparison 2 min 10 s.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.data.tables import Table
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Nesterov
from nets.optim.schedules import Cosine
from nets.tasks.sequence import Regress
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=MLP(widths=(), num_classes=None),
        task=Regress(criterion="squared"),
        data=Table(name="diabetes", kind="number"),
        optimizer=Optimizer(Nesterov(), 0.02, Cosine()),
        steps=1000,
        eval_every=250,
        save_every=1000,
        monitor="rmse",
    )


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    base = experiment()
    return {
        criterion: dataclasses.replace(base, task=Regress(criterion=criterion))
        for criterion in ("squared", "absolute", "huber")
    }
