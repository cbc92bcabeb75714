"""The protocol of a task: what joins a model to a loss and to metrics."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from nets.report.figures import Figure
from nets.tasks.metrics import Metrics, compute

Batch = dict[str, Any]


class Prediction(NamedTuple):
    """The answer of a trained model for one input.

    Attributes:
        summary: in one line.
        values: the same as JSON.
        figure: the same as a picture.
        files: further files, by what is added to the picture's name.
    """

    summary: str
    values: dict[str, Any]
    figure: Figure
    files: dict[str, Figure] = {}


class Sample(NamedTuple):
    """Output of a generative model, where that is no text.

    Attributes:
        summary: in one line.
        figures: the same as files, by name.
    """

    summary: str
    figures: dict[str, Figure]


class Trained(NamedTuple):
    """A trained model, as methods on the host get it.

    Attributes:
        model: the model.
        params: its parameters; their average, if one was kept.
        model_state: its model state, without the carry.
        metadata: metadata of the training data.
        tokenizer: turns text into inputs and back (`nets.data.tokenizers`). None means no text.
        target_tokenizer: the same for targets.
        key: a random key.
    """

    model: nn.Module
    params: Any
    model_state: dict[str, Any]
    metadata: dict[str, Any]
    tokenizer: Any
    target_tokenizer: Any
    key: jax.Array


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """Joins a model to a loss; all of its methods are pure.

    `model_state` holds everything that is carried from step to step and not optimised. Its entry
    "carry" is per row (sharded like the batch, reset at the start of each evaluation); everything
    else is replicated.
    """

    maximise: ClassVar[tuple[str, ...]] = ()
    """The finished metrics of which more is better."""

    @abc.abstractmethod
    def init(self, model: nn.Module, key: jax.Array, batch: Batch) -> tuple[Any, dict]:
        """Parameters and model state for batches of this shape."""

    @abc.abstractmethod
    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        """The loss to minimise, the new model state, and metrics, "loss" among them."""

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        """The new model state and the metrics of a batch of an evaluation: those of the loss.

        `final` holds in the evaluation that ends a run and in `eval`, which may take longer.
        """
        _, (model_state, metrics) = self.loss(model, params, model_state, batch, key, train=False)
        return model_state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        """Metrics of a whole split as numbers, computed on the host.

        Args:
            metrics: the sums, and the rows of every example in the order of the split.
            metadata: that of the data.
            tokenizer: the data's, of targets; None without one.
        """
        return compute(metrics)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        """Figures of a split, by name, after an evaluation or at the end.

        Args:
            trained: the model and what it was trained to.
            batches: all of the split.
            metrics: those of the evaluation before, as `finish` takes them.
            final: whether the run has ended.
        """
        return {}


@dataclasses.dataclass(frozen=True)
class Generative(Task):
    """A task whose model generates: `launch.py sample`."""

    needs_prompt: ClassVar[bool] = False
    """Whether nothing can be generated without a prompt."""
    default_prompt: ClassVar[str] = "\n"
    """The prompt where none is given; empty means that none is needed."""

    @abc.abstractmethod
    def sample(
        self,
        trained: Trained,
        prompt: list[int],
        length: int,
        temperature: float,
        top_k: int | None = None,
    ) -> str | Sample:
        """The text that follows a prompt, given as ids of `trained.tokenizer`, or a sample that is
        no text."""


@dataclasses.dataclass(frozen=True)
class Predictive(Task):
    """A task whose model answers for an input of one's own: `launch.py predict`."""

    @abc.abstractmethod
    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """The arrays [1, ...] that a prediction is made of; pure, compiled for each shape."""

    @abc.abstractmethod
    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        """The prediction for one input, made on the host.

        Args:
            trained: the model and what it was trained to.
            source: what the model's batch was made of (`nets.data.dataset.Input`).
            outputs: those of that batch, as numpy arrays.
        """


def moved_back(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Positions [..., 2] of what a model has read, in the image that it was made of.

    Args:
        points: x and y in pixels.
        matrix: [3, 3], from the image to what the model has read (`nets.data.dataset.Input`).
    """
    inverse = np.linalg.inv(matrix)
    return points @ inverse[:2, :2].T + inverse[:2, 2]
