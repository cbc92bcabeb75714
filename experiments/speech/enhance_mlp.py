"""Speech out of noise, frame by frame: what splicing of features and of labels brings.

    python launch.py compare --experiment=enhance_mlp --data.path=FSDD --data.noise=NOISE

Measured: not trained to its end here, for want of time; 290,391 parameters.
"""

from nets.enhancement import Enhancer, SplicedMLP
from nets.recipes.speech import enhancement
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["both"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    networks = {
        "no splicing": SplicedMLP((430, 430)),
        "features": SplicedMLP((230, 230), features=3),
        "labels": SplicedMLP((230, 230), labels=3),
        "both": SplicedMLP((148, 148), features=3, labels=3),
    }
    return {name: enhancement(Enhancer(network)) for name, network in networks.items()}
