"""Fills in what an experiment leaves to its data: fields of the model, epochs, normalisation."""

import dataclasses
from typing import Any

from nets.cli import config
from nets.data.dataset import Dataset
from nets.errors import UserError, inside
from nets.train.experiment import Experiment
from nets.types import Epochs


def resolve(experiment: Experiment, metadata: dict[str, Any]) -> Experiment:
    """The experiment with the model's None fields filled by the data, and epochs as steps.

    Raises:
        UserError: a field of the model differs from the data's of its name, or epochs are
            given and the data has no training set of known size ("train_examples" of its metadata).
    """
    model, filled = experiment.model, {}
    fields = {field.name for field in dataclasses.fields(model)} - {"name", "parent"}  # Linen's
    for name in fields & metadata.keys():
        known, value = metadata[name], getattr(model, name)
        known = tuple(known) if isinstance(known, list) else known  # which JSON has not
        if value is None:
            filled[name] = known
        elif value != known:
            raise UserError(
                f"must be the data's, {known}, or none to take that, got {value}.",
                f"model.{name}",
            )
    experiment = dataclasses.replace(experiment, model=model.clone(**filled))
    return _in_steps(experiment, metadata.get("train_examples"))


def _in_steps(experiment: Experiment, size: int | None) -> Experiment:
    """The experiment with every number of epochs turned into steps, at least one."""

    def count(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(count, value))
        each = size / experiment.data.batch_size
        return max(1, round(value * each)) if isinstance(value, Epochs) else value

    values = {leaf.path: leaf.value for leaf in config.leaves(experiment)}
    if experiment.epochs is not None:
        values["steps"] = Epochs(experiment.epochs)
    lists = {path: v if isinstance(v, tuple) else (v,) for path, v in values.items()}
    in_epochs = [path for path, items in lists.items() if any(isinstance(x, Epochs) for x in items)]
    if in_epochs and size is None:
        path = "epochs" if "steps" in in_epochs else in_epochs[0]
        kind = type(experiment.data).__name__
        message = f"needs train_examples in the metadata, which {kind} has not: use steps."
        raise UserError(message, path)
    changes = {path: count(values[path]) for path in in_epochs}
    return config.replace(experiment, {"epochs": None} | changes)


_STATISTICS = {"mean", "std", "target_mean", "target_std"}


def as_trained(data: Dataset, metadata: dict[str, Any]) -> Dataset:
    """The data, normalised by the mean and the standard deviation of a run that has these metadata.

    It leaves fields as they are that are given, and data that has no such fields.
    """
    fields = {field.name for field in dataclasses.fields(data)} & _STATISTICS & metadata.keys()
    absent = {name: metadata[name] for name in fields if getattr(data, name) is None}
    values = {name: tuple(x) if isinstance(x, list) else x for name, x in absent.items()}
    return dataclasses.replace(data, **values)


def known_metadata(data: Dataset) -> tuple[dict[str, Any], UserError | None]:
    """The metadata of a set; where the data is missing, what is known without, and the error."""
    try:
        with inside("data"):
            return data.metadata(), None
    except UserError as error:
        return data.spec().metadata, error
