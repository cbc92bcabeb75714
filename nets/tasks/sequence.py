"""Sequences: numbers or classes, at the end or at every step."""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import UserError
from nets.layers.recurrent_bptt import truncated_scan
from nets.report.figures import Figure
from nets.tasks import sequence_figures
from nets.tasks.classify import cross_entropy
from nets.tasks.metrics import exact_match, masked_sum, mean
from nets.tasks.task import Task, Trained


@dataclasses.dataclass(frozen=True)
class Regress(Task):
    """Joins a model's outputs to the squared distance from targets, one a sequence or one a step.

    The model is `model(inputs, train=...) -> [B, ...]`, or many to many, `model(inputs, train=...)
    -> [B, T, ...], carry`; targets have the shape of the outputs. What is scored is each sequence,
    and each step where the model is many to many or the mask is [B, T]. Its loss is the mean over
    all of its numbers. Metrics: loss; with a tolerance, accuracy, and of steps also exact, the
    sequences without a mistake.

    Attributes:
        tolerance: an answer is right where all of its numbers are nearer than this to the targets
            (0.04 in Hochreiter and Schmidhuber 1997); none has no accuracy.
    """

    tolerance: float | None = None

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "exact")

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        result, variables = model.init_with_output(key, batch["inputs"], train=False)
        given, valid = _outputs(result)[0].shape[1:], batch["targets"].shape[1:]
        if given != valid:
            raise UserError(f"the model's outputs are {given} a row, and the targets are {valid}.")
        return variables["params"], {}

    def loss(self, model, params, model_state, batch, key, train):
        noise = {"dropout": key}
        result = model.apply({"params": params}, batch["inputs"], train=train, rngs=noise)
        outputs, by_step = _outputs(result)
        by_step |= "mask" in batch and batch["mask"].ndim == 2
        scored = outputs.shape[: 1 + by_step]  # [B] or [B, T]
        distance = (outputs - batch["targets"]).reshape(*scored, -1)
        metrics = {"loss": masked_sum(jnp.square(distance).mean(-1), batch)}
        if self.tolerance is not None:
            right = jnp.abs(distance).max(-1) < self.tolerance
            metrics["accuracy"] = masked_sum(right, batch)
            if by_step:
                metrics["exact"] = exact_match(right, batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def figures(self, trained: Trained, batches: Iterable[dict], final: bool) -> dict[str, Figure]:
        model, variables = trained.model, {"params": trained.params}
        apply = jax.jit(lambda x: _outputs(model.apply(variables, x, train=False)))
        rows = sequence_figures.real(next(iter(batches)))
        outputs, by_step = jax.device_get(apply(rows["inputs"]))
        if by_step:
            return sequence_figures.error_by_step(rows, outputs)
        if outputs.ndim == 2:
            return sequence_figures.prediction(rows["targets"][:, 0], outputs[:, 0])
        return sequence_figures.drawn(rows, outputs, trained.metadata)


def _outputs(result: Any) -> tuple[jax.Array, bool]:
    """A model's outputs, and whether it is many to many, which returns its carry too."""
    return (result[0], True) if isinstance(result, tuple) else (result, False)


@dataclasses.dataclass(frozen=True)
class Label(Task):
    """Joins a model's logits to the cross-entropy of classes, one a sequence or one a step.

    Of a sequence, targets [B], the model is `model(inputs, train=...) -> logits [B, K]`. Of each
    step, targets [B, T], it is `model(inputs, carry, train=...) -> logits [B, T, K], carry`, and
    back-propagation through time may be truncated (`nets.layers.recurrent_bptt.truncated_scan`),
    which changes gradients only; where k2 > k1, dropout draws other masks for the steps that are
    run again. Metrics: loss (nats), accuracy; of steps also exact, the sequences without a mistake.

    Attributes:
        k1: steps forward between two losses' ways back; must divide T. None truncates nothing.
        k2: steps that gradients pass back through time; none is k1.
    """

    k1: int | None = None
    k2: int | None = None

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "exact")

    def __post_init__(self):
        if self.k1 is None and self.k2 is not None:
            raise UserError(f"--task.k2={self.k2} needs --task.k1, at most as great.")
        if self.k1 is not None and not 1 <= self.k1 <= (self.k2 or self.k1):
            k2 = "" if self.k2 is None else f" with --task.k2={self.k2}"
            raise UserError(f"--task.k1={self.k1}{k2} is not possible; 1 <= k1 <= k2 is valid.")

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        shape = batch["targets"].shape
        if self.k1 is not None and (len(shape) == 1 or shape[1] % self.k1):
            steps = "one answer a sequence" if len(shape) == 1 else f"{shape[1]} steps"
            raise UserError(f"--task.k1={self.k1} does not fit: the data has {steps}.")
        return model.init(key, batch["inputs"], train=False)["params"], {}

    def loss(self, model, params, model_state, batch, key, train):
        targets = batch["targets"]
        if targets.ndim == 1:
            noise = {"dropout": key}
            logits = model.apply({"params": params}, batch["inputs"], train=train, rngs=noise)
        else:
            logits = self.steps(model, params, batch["inputs"], key, train)
        each = cross_entropy(logits, targets)
        right = logits.argmax(-1) == targets
        metrics = {"loss": masked_sum(each, batch), "accuracy": masked_sum(right, batch)}
        if targets.ndim == 2:
            metrics["exact"] = exact_match(right, batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def untruncated(self) -> "Label":
        """The task with back-propagation through all of a sequence; its values are the same."""
        return dataclasses.replace(self, k1=None, k2=None)

    def steps(self, model, params, inputs: jax.Array, key: jax.Array, train: bool) -> jax.Array:
        """Logits [B, T, K] of every step."""

        def run(carry, xs):
            inputs, keys = xs
            given = {"train": train, "rngs": {"dropout": keys[0]}}
            logits, carry = model.apply({"params": params}, inputs.swapaxes(0, 1), carry, **given)
            return carry, logits.swapaxes(0, 1)

        length = inputs.shape[1]
        xs = inputs.swapaxes(0, 1), jax.random.split(key, length)
        k1 = (self.k1 if train else None) or length
        k2 = (self.k2 if train else None) or k1
        return truncated_scan(run, model.initial_carry(inputs), xs, k1, k2)[1].swapaxes(0, 1)

    def figures(self, trained: Trained, batches: Iterable[dict], final: bool) -> dict[str, Figure]:
        if not final:
            return {}
        model, params, metadata = trained.model, trained.params, trained.metadata
        if next(iter(batches))["targets"].ndim == 1:
            answers = jax.jit(
                lambda x: model.apply({"params": params}, x, train=False, stages=True)[1]["answers"]
            )
            return sequence_figures.reading(map(sequence_figures.real, batches), answers, metadata)
        rows = sequence_figures.real(next(iter(batches)))
        logits = jax.jit(lambda x: self.steps(model, params, x, trained.key, False))(rows["inputs"])
        return sequence_figures.stepwise(rows, np.asarray(jax.nn.softmax(logits)), metadata)
