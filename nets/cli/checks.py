"""Whether an experiment is possible, and data fits a run: found before anything compiles."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from nets.errors import UserError, inside
from nets.optim.paths import flatten
from nets.tasks.metrics import Rows, add
from nets.train import sharding, train_state
from nets.train.experiment import Experiment, batch_struct


def checked(experiment: Experiment, metadata: dict[str, Any]) -> Experiment:
    """The experiment, found possible on these devices and this data; nothing is compiled.

    Raises:
        UserError: the model does not take these batches, a batch does not divide or is larger than
            the set, or there is no such metric or initial run.
    """
    data = experiment.data
    mesh = sharding.make()
    sharding.check("data.batch_size", data.batch_size, mesh, experiment.accumulate)
    sharding.check("data.eval_batch_size", data.eval_batch_size, mesh)
    names = metric_names(experiment, metadata)
    if experiment.monitor not in names:
        raise UserError(
            f"--monitor={experiment.monitor} is no metric; there are {', '.join(names)}."
        )
    return experiment


def metric_names(experiment: Experiment, metadata: dict[str, Any]) -> list[str]:
    """The metrics that an evaluation of the experiment has.

    Raises:
        UserError: the model does not take batches of these shapes, or has an empty parameter.
    """
    try:
        with np.errstate(divide="raise"):  # by a size of 0, in an initialiser
            with inside("task"):
                state = jax.eval_shape(train_state.make_init(experiment))
            key = jax.eval_shape(lambda: jax.random.key(0))
            _, metrics = jax.eval_shape(
                functools.partial(experiment.task.test, experiment.model, final=False),
                state.params,
                state.model_state,
                batch_struct(experiment.data),
                key,
            )
        _check_metrics(type(experiment.task).__name__, metrics)
    except (ValueError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"the model does not take these batches: {reason}") from error
    except (ArithmeticError, LookupError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UserError(f"the model does not take these batches: {reason}") from error
    for path, leaf in flatten(state.params).items():
        if leaf.size == 0:  # which orbax could not save
            raise UserError(f"the model's parameter {path} would be empty: {list(leaf.shape)}.")
    ones = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), metrics)
    collects = any(isinstance(metric, Rows) for metric in metrics.values())
    tokenizer = experiment.data.target_tokenizer(metadata) if collects else None
    return list(experiment.task.finish(add({}, ones), metadata, tokenizer))


def _check_metrics(task: str, metrics: dict[str, Any]) -> None:
    if "loss" not in metrics:
        raise UserError(f"{task} has no metric loss; it has {', '.join(metrics) or 'none'}.")
    for name, metric in metrics.items():
        if not isinstance(metric, tuple) or len(metric) != 2:
            raise UserError(f"{task}'s metric {name} is neither (sum, weight) nor Rows.")


def check_classes(data: dict[str, Any], known: dict[str, Any], warn: Callable[[str], None]) -> None:
    """Warns where data has classes of other names than a run, whose metadata are `known`.

    Raises:
        UserError: there are more or fewer.
    """
    read, trained = (metadata.get("class_names", []) for metadata in (data, known))
    if len(read) != len(trained):
        raise UserError(
            f"the data has {len(read)} classes ({_some(read)}), the run {len(trained)} "
            f"({_some(trained)})."
        )
    if read != trained:
        warn(
            f"the data's classes are {_some(read)}, those of the run {_some(trained)}: they are "
            "taken for each other in this order"
        )


def check_columns(data: dict[str, Any], known: dict[str, Any]) -> None:
    """Refuses a table whose inputs are not, in this order, those of a run of metadata `known`."""
    read, trained = (metadata.get("columns", []) for metadata in (data, known))
    if read != trained:
        raise UserError(f"the data's inputs are {_some(read)}, those of the run {_some(trained)}.")


def _some(names: list[str]) -> str:
    return ", ".join([*names[:10], *(["..."] if len(names) > 10 else [])])


def check_vocabulary(data: dict[str, Any], known: dict[str, Any], run: str) -> None:
    """Refuses parameters of a run, whose metadata are `known`, for data that has other symbols.

    Raises:
        UserError: their vocabularies, alphabets or tags differ; names what is new.
    """
    for key in ("vocabulary", "input_symbols", "output_symbols", "alphabet", "tags"):
        present, trained = (list(metadata.get(key, ())) for metadata in (data, known))
        if present != trained:
            name = {"alphabet": "alphabet", "tags": "set of tags"}.get(key, "vocabulary")
            new = [repr(symbol) for symbol in present if symbol not in trained]
            tail = f" New is {_some(new)}." if new else ""
            raise UserError(
                f"the data's {name}, of {len(present)} symbols, is not that of {run}, of "
                f"{len(trained)}: its ids would mean something else.{tail}"
            )
