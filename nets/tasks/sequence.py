"""Sequences: numbers or classes, at the end or at every step."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import UserError, check_range
from nets.layers.recurrent_bptt import truncated_scan
from nets.report.figures import Figure
from nets.tasks import sequence_figures
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, exact_match, masked_sum, mean
from nets.tasks.task import Batch, Task, Trained


@dataclasses.dataclass(frozen=True)
class Regress(Task):
    """Regression: the mean squared error of one output per sequence, or one per step.

    The model is `model(inputs, train=...) -> [B, ...]`, or many to many, `model(inputs, train=...)
    -> [B, T, ...], carry`; targets have the shape of the outputs. Sequences are scored; steps, if
    the model is many to many or the mask is [B, T]. Metrics: loss; with a tolerance also accuracy,
    and for steps exact_match (sequences without an error).

    Attributes:
        tolerance: an output is right if all of its numbers are nearer than this to the targets
            (0.04 in Hochreiter and Schmidhuber 1997). None means that there is no accuracy.
    """

    tolerance: float | None = None

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match")

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
        metrics = {"loss": masked_sum(jnp.square(distance).mean(-1), batch)}
        if self.tolerance is not None:
            right = jnp.abs(distance).max(-1) < self.tolerance
            metrics["accuracy"] = masked_sum(right, batch)
            if by_step:
                metrics["exact_match"] = exact_match(right, batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        model, variables = trained.model, {"params": trained.params}
        apply = jax.jit(lambda x: _outputs(model.apply(variables, x, train=False)))
        rows = sequence_figures.real(batches[0])
        outputs, by_step = jax.device_get(apply(rows["inputs"]))
        if by_step:
            return sequence_figures.error_by_step(rows, outputs)
        if outputs.ndim == 2:
            return sequence_figures.prediction(rows["targets"][:, 0], outputs[:, 0])
        return sequence_figures.generated(rows, outputs, trained.metadata)


def _outputs(result: Any) -> tuple[jax.Array, bool]:
    """A model's outputs, and whether it is many to many, which returns its carry too."""
    return (result[0], True) if isinstance(result, tuple) else (result, False)


@dataclasses.dataclass(frozen=True)
class ClassifySequence(Task):
    """One class per sequence, by `model(inputs, train=...) -> logits [B, K]`: cross-entropy.

    Metrics: loss (nats), accuracy.
    """

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
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
        noise = {"dropout": key}
        logits = model.apply({"params": params}, batch["inputs"], train=train, rngs=noise)
        metrics = _metrics(logits, batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        model, variables = trained.model, {"params": trained.params}

        @jax.jit
        def answers(inputs):
            return model.apply(variables, inputs, train=False, stages=True)[1]["answers"]

        rows = map(sequence_figures.real, batches)
        return sequence_figures.reading(rows, answers, trained.metadata)


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
        metrics = _metrics(logits, batch)
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


def _metrics(logits: jax.Array, batch: dict) -> Metrics:
    """Loss and accuracy of logits [B, K] or [B, T, K]."""
    targets = batch["targets"]
    return {
        "loss": masked_sum(cross_entropy(logits, targets), batch),
        "accuracy": masked_sum(logits.argmax(-1) == targets, batch),
    }
