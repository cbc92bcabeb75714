"""The experiments of the repository."""

from pathlib import Path

from nets.cli.resolve import known_metadata, resolve
from nets.train.experiment import Experiment

FOLDER = Path(__file__).parent.parent.parent / "experiments"


def resolved(experiment: Experiment) -> Experiment:
    """The experiment with what its data knows without being read."""
    return resolve(experiment, known_metadata(experiment.data)[0])
