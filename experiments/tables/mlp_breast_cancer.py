"""A multilayer perceptron on scikit-learn's breast cancer table: hidden units before the sigmoid.

    python launch.py --experiment=mlp_breast_cancer
    python launch.py --experiment=mlp_breast_cancer --data.path=mine.csv --data.target=COLUMN

The same rows as `logistic_breast_cancer`, which so few and so well separated rows leave little to
improve.

Measured: pending
"""

from nets.data.tables import Table
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=MLP(widths=(32, 32), num_classes=None),
        task=Classify(criterion="binary", roc_auc=True),
        data=Table(name="breast_cancer", kind="binary"),
        optimizer=Optimizer(Adam(), 3e-3, Cosine(), l2=0.01),
        steps=600,
        eval_every=50,
        save_every=600,
    )
