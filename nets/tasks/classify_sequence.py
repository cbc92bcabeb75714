"""Classification of sequences: one class for each."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax

from nets.report.figures import Figure
from nets.tasks import classify_figures, rejection, sequence_figures
from nets.tasks.metrics import Metrics, collect, compute, mean
from nets.tasks.sequence import class_metrics
from nets.tasks.task import Batch, Prediction, Predictive, Trained


@dataclasses.dataclass(frozen=True)
class ClassifySequence(Predictive):
    """One class per sequence, by `model(inputs, train=...) -> logits [B, K]`: cross-entropy.

    Metrics: loss (nats), accuracy; with `rejection`, the closing evaluation also has error and
    error_rejecting_X, as of `nets.tasks.classify.Classify`.

    Attributes:
        rejection: shares of the examples that are rejected, such as 0.1: those whose two largest
            logits differ least.
    """

    rejection: tuple[float, ...] = ()

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def __post_init__(self) -> None:
        rejection.check_shares(self.rejection)

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
        metrics = class_metrics(self._logits(model, params, batch, key, train), batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        logits = self._logits(model, params, batch, key, train=False)
        metrics = class_metrics(logits, batch)
        if self.rejection and final:
            rows = rejection.answers(logits, batch["targets"])
            metrics["predictions"] = collect(rows, batch)
        return model_state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "predictions" in metrics:
            values |= rejection.errors(metrics["predictions"], self.rejection)
        return values

    def _logits(
        self, model: nn.Module, params: Any, batch: Batch, key: jax.Array, train: bool
    ) -> jax.Array:
        noise = {"dropout": key}
        return model.apply({"params": params}, batch["inputs"], train=train, rngs=noise)

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

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> jax.Array:
        """Probabilities [1, K] of the classes."""
        logits = model.apply({"params": params}, batch["inputs"], train=False)
        return jax.nn.softmax(logits)

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        return classify_figures.prediction(trained.metadata, source, outputs[0])
