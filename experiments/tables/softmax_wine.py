"""Softmax regression on scikit-learn's wine table: three classes by one linear layer.

    python launch.py --experiment=softmax_wine
    python launch.py --experiment=softmax_wine --data.name=iris
    python launch.py --experiment=softmax_wine --data.path=mine.csv --data.target=COLUMN

Three cultivars, told apart by 13 chemical measurements of 178 wines. The penalty is that of
scikit-learn's LogisticRegression with C = 1, which a test compares the weights with.

Measured: pending
"""

from nets.data.tables import Table
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Nesterov
from nets.optim.schedules import Cosine
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=MLP(widths=(), num_classes=None),
        task=Classify(roc_auc=True),
        data=Table(name="wine", kind="classes"),
        optimizer=Optimizer(Nesterov(), 0.1, Cosine(), l2=1 / 124),
        steps=500,
        eval_every=50,
        save_every=500,
    )
