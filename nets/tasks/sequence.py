"""Sequences: numbers or classes, at the end or at every step; regression of any row."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nets.errors import UserError, check_choice, check_range
from nets.layers.recurrent_bptt import truncated_scan
from nets.report.figures import Figure
from nets.tasks import sequence_figures
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, compute, exact_match, masked_sum, mean
from nets.tasks.task import Batch, Task, Trained


@dataclasses.dataclass(frozen=True)
class Regress(Task):
    """Regression of one output per row (of a table, or a sequence), or of one per step.

    The model is `model(inputs, train=...) -> [B, ...]`, or many to many, `model(inputs, train=...)
    -> [B, T, ...], carry`; targets have the shape of the outputs. Rows are scored; steps, if
    the model is many to many or the mask is [B, T].

    Metrics: loss; rmse and mae, the root of the mean squared and the mean absolute error, in the
    targets' own unit where the data standardised them (`target_std`); r2, 1 - sum e^2 / sum (y -
    mean y)^2, the explained share of the variance, 0 where all targets are one; with a tolerance
    also accuracy, and for steps exact_match (sequences without an error).

    Attributes:
        criterion: of an error e: squared, e^2; absolute, |e|; huber, e^2 / 2 up to |e| = delta and
            delta (|e| - delta / 2) beyond (Huber 1964). The loss is its mean.
        delta: error from which the Huber criterion is linear.
        tolerance: an output is right if all of its numbers are nearer than this to the targets
            (0.04 in Hochreiter and Schmidhuber 1997). None means that there is no accuracy.
    """

    criterion: Literal["squared", "absolute", "huber"] = "squared"
    delta: float = 1.0
    tolerance: float | None = None

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match", "r2")

    def __post_init__(self) -> None:
        check_choice(self, "criterion", ("squared", "absolute", "huber"))
        check_range(self, "delta", above=0)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        result, variables = model.init_with_output(key, batch["inputs"], train=False)
        shape, expected = _outputs(result)[0].shape[1:], batch["targets"].shape[1:]
        if shape != expected:
            raise UserError(
                f"the model's outputs are {shape} a row, and the targets are {expected}."
            )
        return variables["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        noise = {"dropout": key}
        result = model.apply({"params": params}, batch["inputs"], train=train, rngs=noise)
        outputs, by_step = _outputs(result)
        by_step |= "mask" in batch and batch["mask"].ndim == 2
        scored = outputs.shape[: 1 + by_step]  # [B] or [B, T]
        distance = (outputs - batch["targets"]).reshape(*scored, -1)
        target = batch["targets"].reshape(distance.shape)
        squared, absolute = jnp.square(distance), jnp.abs(distance)
        penalties = {"squared": squared, "absolute": absolute}
        penalties["huber"] = optax.losses.huber_loss(distance, delta=self.delta)
        each = {
            "loss": penalties[self.criterion],
            "rmse": squared,
            "mae": absolute,
            "target": target,
            "target_squared": jnp.square(target),
        }
        metrics = {name: masked_sum(x.mean(-1), batch) for name, x in each.items()}
        if self.tolerance is not None:
            right = jnp.abs(distance).max(-1) < self.tolerance
            metrics["accuracy"] = masked_sum(right, batch)
            if by_step:
                metrics["exact_match"] = exact_match(right, batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values, unit = compute(metrics), metadata.get("target_std", 1.0)
        if "loss" in values:
            variance = values.pop("target_squared") - values.pop("target") ** 2
            values["r2"] = 1 - values["rmse"] / variance if variance > 0 else 0.0
            values["rmse"] = unit * math.sqrt(values["rmse"])
            values["mae"] *= unit
        return values

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        model, variables = trained.model, {"params": trained.params}
        apply = jax.jit(lambda x: _outputs(model.apply(variables, x, train=False)))
        rows = sequence_figures.real(batches[0])
        outputs, many_to_many = jax.device_get(apply(rows["inputs"]))
        pictures = "shape" in trained.metadata and rows["mask"].ndim == 1
        if outputs.ndim == 3 and not many_to_many and pictures:
            return sequence_figures.generated(rows, outputs, trained.metadata)
        if outputs.ndim > 2 or many_to_many:
            return sequence_figures.error_by_step(rows, outputs)
        unit, zero = trained.metadata.get("target_std", 1), trained.metadata.get("target_mean", 0)
        first = [unit * a.reshape(len(a), -1)[:, 0] + zero for a in (rows["targets"], outputs)]
        return sequence_figures.prediction(*first)


def _outputs(result: Any) -> tuple[jax.Array, bool]:
    """A model's outputs, and whether it is many to many, which returns its carry too."""
    return (result[0], True) if isinstance(result, tuple) else (result, False)


@dataclasses.dataclass(frozen=True)
class TagSequence(Task):
    """One class per step, by `model(inputs, carry, train=...) -> logits [B, T, K], carry`.

    The loss is the cross-entropy. Back-propagation through time may be truncated
    (`nets.layers.recurrent_bptt.truncated_scan`), which changes gradients only; if k2 > k1, the
    dropout masks of the steps that run again differ. Metrics: loss (nats), accuracy, exact_match
    (sequences without an error).

    Attributes:
        k1: steps between two truncations; must divide T. None truncates nothing.
        k2: steps that gradients pass back through time. None means k1.
    """

    k1: int | None = None
    k2: int | None = None

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match")

    def __post_init__(self) -> None:
        check_range(self, "k1", at_least=1)
        if self.k1 is None and self.k2 is not None:
            raise UserError("must be given with k2, and be at most k2.", "k1")
        check_range(self, "k2", at_least=self.k1 or 1)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        self._check_length(batch["targets"].shape[1])
        return model.init(key, batch["inputs"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        logits = self.steps(model, params, batch["inputs"], key, train)
        metrics = class_metrics(logits, batch)
        right = logits.argmax(-1) == batch["targets"]
        metrics["exact_match"] = exact_match(right, batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def _check_length(self, steps: int) -> None:
        if self.k1 is not None and steps % self.k1:
            raise UserError(f"must divide the {steps} steps of a batch, got {self.k1}.", "k1")

    def steps(
        self, model: nn.Module, params: Any, inputs: jax.Array, key: jax.Array, train: bool
    ) -> jax.Array:
        """Logits [B, T, K] of every step."""

        def run(carry, xs):
            inputs, keys = xs
            noise = {"dropout": keys[0]}
            logits, carry = model.apply(
                {"params": params}, inputs.swapaxes(0, 1), carry, train=train, rngs=noise
            )
            return carry, logits.swapaxes(0, 1)

        length = inputs.shape[1]
        self._check_length(length)
        xs = inputs.swapaxes(0, 1), jax.random.split(key, length)
        k1 = (self.k1 if train else None) or length
        k2 = (self.k2 if train else None) or k1
        carry = model.initial_carry((len(inputs), *inputs.shape[2:]))
        return truncated_scan(run, carry, xs, k1, k2)[1].swapaxes(0, 1)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        model, params = trained.model, trained.params
        rows = sequence_figures.real(batches[0])
        steps = jax.jit(functools.partial(self.steps, model, train=False))
        logits = steps(params, rows["inputs"], trained.key)
        probabilities = np.asarray(jax.nn.softmax(logits))
        vocabularies = trained.tokenizer.vocabulary, trained.target_tokenizer.vocabulary
        return sequence_figures.stepwise(rows, probabilities, *vocabularies)


def class_metrics(logits: jax.Array, batch: dict) -> Metrics:
    """Loss and accuracy of logits [B, K] or [B, T, K]."""
    targets = batch["targets"]
    return {
        "loss": masked_sum(cross_entropy(logits, targets), batch),
        "accuracy": masked_sum(logits.argmax(-1) == targets, batch),
    }
