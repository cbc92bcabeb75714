"""What an experiment is, where experiments are found, and what makes one impossible."""

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import Any, ClassVar, Protocol

import flax.linen as nn
import grain
import jax
import numpy as np

from nets.cli import catalogue
from nets.errors import UserError
from nets.train.optimizer import Optimizer

Batch = dict[str, Any]
Metrics = dict[str, tuple[Any, Any]]  # name -> (sum, weight)


class Task(Protocol):
    """Joins a model to a loss; all of its methods are pure.

    `model_state` is whatever goes from step to step without being optimised. Its entry "carry" is
    per row (sharded like the batch, begun afresh in each evaluation); all else is replicated.
    `metrics` always holds "loss". A task may also have `sample`, which writes after a prompt
    (nets.cli.commands), and `judge(model, params, data, split) -> dict[str, float]`: metrics of a
    whole split's answers, taken at the end of a run and by `eval`; and `untruncated`, itself
    without truncated back-propagation, as `--debug_nans` looks at it.
    """

    maximise: ClassVar[tuple[str, ...]]  # the finished metrics of which more is better

    def init(self, model: nn.Module, key: jax.Array, batch: Batch) -> tuple[Any, dict]: ...

    def loss(
        self, model: nn.Module, params, model_state: dict, batch: Batch, key: jax.Array, train: bool
    ) -> tuple[jax.Array, tuple[dict, Metrics]]: ...

    def finish(self, sums: Metrics) -> dict[str, float]:
        """Metrics as people read them, from sums over a whole split."""

    def views(self, model, params, model_state, batches, metadata, key, final: bool) -> dict:
        """What is worth looking at (nets.report.figures), after an evaluation or at the end."""


class Data(Protocol):
    """Where batches come from: dicts of numpy arrays, a pure function of (seed, step)."""

    batch_size: int
    eval_batch_size: int
    read_threads: int  # that batches are made in, ahead of the step

    def train(self, seed: int) -> grain.MapDataset: ...

    def evaluate(self, split: str) -> grain.MapDataset: ...

    def splits(self) -> tuple[str, ...]: ...

    def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shapes and types of a training batch, known without reading the data."""

    def metadata(self) -> dict[str, Any]:
        """What the data says of itself (num_classes, vocabulary, digest, ...), as JSON."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is trained, on what, how, and for how long.

    A `None` in the model's `num_classes` or `vocab_size` stands for what the data has.

    Attributes:
        steps: updates in all; on a resume a greater number extends the run.
        seed: seed of the initial parameters, of dropout and of the order of the data; several
            (`--seed=0,1,2`) run in turn.
        eval_every: steps between evaluations on the validation split.
        save_every: steps between checkpoints (an evaluation that improves saves too).
        log_every: steps between lines of training metrics, each the mean over those steps.
        monitor: validation metric that chooses the best checkpoint and drives patience and plateau.
        patience: evaluations without improvement before the run stops.
        ema: decay of an exponential moving average of the parameters, which is then evaluated;
            corrected for its start as Adam's moments are.
        average_from: step from which on the plain mean of the parameters is kept instead, and
            evaluated (Polyak and Juditsky 1992): with sgd, averaged SGD.
        average_after: the same from the first evaluation that is worse than the best of all but
            this many before it: with sgd, the NT-ASGD of Merity et al. 2018, algorithm 1, there
            with n=5.
        accumulate: micro-batches that one update's gradient is gathered over.
        init_from: work directory whose best parameters this run starts from.
        debug_nans: whether, when a loss or gradient is not finite, the layer and time step where
            it began are named and the batch is kept (the states of two steps are held for it).
    """

    model: nn.Module
    task: Task
    data: Data
    optimizer: Optimizer
    steps: int
    seed: int = 0
    eval_every: int = 500
    save_every: int = 500
    log_every: int = 50
    monitor: str = "loss"
    patience: int | None = None
    ema: float | None = None
    average_from: int | None = None
    average_after: int | None = None
    accumulate: int = 1
    init_from: str | None = None
    debug_nans: bool = False

    def __post_init__(self):
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed must be from 0 to 2^32 - 1, got {self.seed}.")
        for name in ("steps", "eval_every", "save_every", "log_every", "accumulate"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)} is not possible; 1 is the least.")
        if self.steps >= 2**31:
            raise UserError(f"--steps must be below 2^31 (counted in int32), got {self.steps}.")
        if self.patience is not None and self.patience < 1:
            raise UserError(f"--patience={self.patience} is not possible; 1 is the least, or none.")
        if self.ema is not None and not 0 < self.ema < 1:
            raise UserError(f"--ema={self.ema} is not possible; it lies between 0 and 1, or none.")
        for name in ("average_from", "average_after"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UserError(f"--{name}={value} is not possible; 1 is the least, or none.")
        if len(given := self.averages()) > 1:
            said = " and ".join(f"--{name}={value}" for name, value in given.items())
            raise UserError(
                f"{said} are {len(given)} averages; one is evaluated: say none for the others."
            )

    def averages(self) -> dict[str, float]:
        """What is said of an average of the parameters, none or one field."""
        fields = ("ema", "average_from", "average_after")
        return {name: v for name in fields if (v := getattr(self, name)) is not None}


SILENT = ("save_every", "log_every", "debug_nans")  # fields that change no result
CHANGEABLE = ("steps", *SILENT)  # fields that may differ between a run and its continuation


def load(name: str, folder: Path) -> Experiment:
    """The experiment of that name in the folder, or of the `.py` file that `name` is a path of."""
    path = catalogue.find(name, folder)
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that the type hints of classes defined there resolve
    spec.loader.exec_module(module)
    if not callable(getattr(module, "experiment", None)):
        raise UserError(f"{path} defines no function experiment() that returns an Experiment.")
    return module.experiment()


def resolve(experiment: Experiment, metadata: dict[str, Any]) -> Experiment:
    """The experiment with what its model leaves to the data filled in.

    Raises:
        UserError: the model says a number that differs from the data's.
    """
    model = experiment.model
    for name in ("num_classes", "vocab_size"):
        if name not in metadata or not hasattr(model, name):
            continue
        given = getattr(model, name)
        if given is None:
            model = model.clone(**{name: metadata[name]})
        elif given != metadata[name]:
            raise UserError(
                f"--model.{name}={given}, but the data has {metadata[name]}: "
                f"say --model.{name}={metadata[name]}, or none to take the data's."
            )
    return dataclasses.replace(experiment, model=model)


def as_trained(data: Data, metadata: dict[str, Any]) -> Data:
    """The data, normalised by the mean and the standard deviation of a run that has these metadata.

    It leaves fields as they are that are given, and data that has no such fields.
    """
    fields = {field.name for field in dataclasses.fields(data)} & {"mean", "std"} & metadata.keys()
    absent = [name for name in fields if getattr(data, name) is None]
    return dataclasses.replace(data, **{name: tuple(metadata[name]) for name in absent})


def known(data: Data) -> tuple[dict[str, Any], UserError | None]:
    """The metadata of a set; where it is missing, what is known without it, and the error."""
    try:
        return data.metadata(), None
    except UserError as error:
        return getattr(data, "outline", dict)(), error


def batch_struct(data: Data, rows: int | None = None) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes and types of a training batch, of `rows` rows where given."""
    return {
        name: jax.ShapeDtypeStruct(shape if rows is None else (rows, *shape[1:]), dtype)
        for name, (shape, dtype) in data.spec().items()
    }
