"""The protocol of a task: what joins a model to a loss and to metrics."""

import abc
import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import flax.linen as nn
import jax

from nets.report.figures import View
from nets.tasks.metrics import compute

Batch = dict[str, Any]
Metrics = dict[str, tuple[Any, Any]]  # name -> (sum, weight)


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """Joins a model to a loss; all of its methods are pure.

    `model_state` is whatever goes from step to step without being optimised. Its entry "carry" is
    per row (sharded like the batch, started afresh in each evaluation); all else is replicated.
    """

    maximise: ClassVar[tuple[str, ...]] = ()
    """The finished metrics of which more is better."""

    @abc.abstractmethod
    def init(self, model: nn.Module, key: jax.Array, batch: Batch) -> tuple[Any, dict]:
        """Parameters and model state for batches of this shape."""

    @abc.abstractmethod
    def loss(
        self, model: nn.Module, params, model_state: dict, batch: Batch, key: jax.Array, train: bool
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        """The loss to minimise, the new model state, and metrics, "loss" among them."""

    def finish(self, sums: Metrics) -> dict[str, float]:
        """Metrics as people read them, from sums over a whole split."""
        return compute(sums)

    def judge(self, model: nn.Module, params, data: Any, split: str) -> dict[str, float]:
        """Further metrics of a split, taken at the end of a run and by `eval`."""
        return {}

    def views(
        self, model, params, model_state, batches: Iterable[Batch], metadata, key, final: bool
    ) -> dict[str, View]:
        """Figures of a split, by name, after an evaluation or at the end."""
        return {}

    def untruncated(self) -> "Task":
        """The task without truncated back-propagation, of the same values."""
        return self


@dataclasses.dataclass(frozen=True)
class Generative(Task):
    """A task whose model generates: `launch.py sample`."""

    needs_prompt: ClassVar[bool] = False
    """Whether nothing can be generated without a prompt."""

    @abc.abstractmethod
    def sample(
        self,
        model: nn.Module,
        params,
        metadata: dict[str, Any],
        key: jax.Array,
        prompt: Any,
        length: int,
        temperature: float,
        top_k: int | None = None,
    ) -> str:
        """The text that follows a prompt, as the data's `encode` gives it."""
