"""The experiment: a dataclass of everything that a run depends on."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from nets.data.dataset import Dataset
from nets.errors import UserError, check_range
from nets.optim.averages import Average
from nets.optim.optimizer import Optimizer
from nets.tasks.task import Task, Trained
from nets.types import Steps


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A model, its task, data and optimizer, and the settings of a run.

    A `None` in a field of the model whose name is in the data's metadata (`num_classes`,
    `vocab_size`) stands for what the data has.

    Attributes:
        steps: updates in all; on a resume a greater number extends the run. None where `epochs` is
            given.
        epochs: passes over the training set in all, instead of `steps`.
        seed: seed of the initial parameters, of dropout and of the order of the data; several
            (`--seed=0,1,2`) run in turn.
        eval_every: steps, or epochs, between evaluations on the validation split.
        save_every: steps, or epochs, between checkpoints (an evaluation that improves saves too).
        log_every: steps between lines of training metrics, each the mean over those steps.
        monitor: validation metric that chooses the best checkpoint and drives patience and plateau.
        patience: evaluations without improvement before the run stops.
        patience_ratio: the run stops at this many times the steps of its best evaluation.
        target: value of the monitored metric at which the run stops.
        average: average of the parameters, which is evaluated instead of them; None means none.
        eval_train: whether the training split is evaluated too, at the end ("train_eval").
        accumulate: micro-batches that one update's gradient is gathered over.
        init_from: work directory whose best parameters this run starts from.
        init_include: patterns of the parameters that it takes from there, such as encoder/*; * is
            any part of a path.
        init_exclude: patterns of those that it does not take, such as head/* where the number of
            classes is another.
        init_rename: old=new paths of modules or parameters that are called otherwise here; an empty
            path is the whole model.
        debug_nans: whether, when a loss or gradient is not finite, the layer and time step where
            it began are named and the batch is kept (the states of two steps are held for it).
    """

    model: nn.Module
    task: Task
    data: Dataset
    optimizer: Optimizer
    steps: int | None = None
    epochs: float | None = None
    seed: int = 0
    eval_every: Steps = 500
    save_every: Steps = 500
    log_every: int = 50
    monitor: str = "loss"
    patience: int | None = None
    patience_ratio: float | None = None
    target: float | None = None
    average: Average = None
    eval_train: bool = False
    accumulate: int = 1
    init_from: str | None = None
    init_include: tuple[str, ...] = ("*",)
    init_exclude: tuple[str, ...] = ()
    init_rename: tuple[str, ...] = ()
    debug_nans: bool = False

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise UserError(
                f"exactly one of steps and epochs must be given, got steps={self.steps} and "
                f"epochs={self.epochs}."
            )
        check_range(self, "seed", at_least=0, at_most=2**32 - 1)
        check_range(self, "steps", at_least=1, at_most=2**31 - 1)  # counted in int32
        check_range(self, "log_every", "accumulate", "patience", at_least=1)
        if self.init_from is None and (self.init_exclude or self.init_rename):
            raise UserError("must be given with init_exclude or init_rename.", "init_from")
        check_range(self, "epochs", "eval_every", "save_every", above=0)
        check_range(self, "patience_ratio", above=1)


SILENT = ("save_every", "log_every", "debug_nans", "eval_train")  # fields that change no result
CHANGEABLE = ("steps", *SILENT)  # fields that may differ between a run and its continuation


def make_trained(
    experiment: Experiment, params: Any, model_state: dict, metadata: dict[str, Any], key: jax.Array
) -> Trained:
    """The `Trained` of a run, with the tokenizers of its data."""
    tokenizers = (experiment.data.tokenizer(metadata), experiment.data.target_tokenizer(metadata))
    return Trained(experiment.model, params, model_state, metadata, *tokenizers, key)


def batch_struct(data: Dataset) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes and types of a training batch."""
    return {name: jax.ShapeDtypeStruct(*array) for name, array in data.spec().arrays.items()}
