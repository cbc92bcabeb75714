"""Classification of sounds of unequal length."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax

from nets.report.figures import Figure
from nets.tasks import classify_figures, classify_sound_figures, rejection
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, collect, mean
from nets.tasks.sequence import class_metrics
from nets.tasks.task import Batch, Prediction, Predictive, Trained


@dataclasses.dataclass(frozen=True)
class ClassifySound(Predictive):
    """One class per sound, by `model(inputs, lengths=..., train=...) -> logits [B, K]`.

    The loss is the cross-entropy. Metrics: loss (nats), accuracy.
    """

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        return model.init(key, batch["inputs"], lengths=batch["lengths"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        metrics = class_metrics(_logits(model, params, batch, key, train), batch)
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
        logits = _logits(model, params, batch, key, train=False)
        metrics = class_metrics(logits, batch)
        if final:
            penalty = cross_entropy(logits, batch["targets"])
            rows = rejection.answers(logits, batch["targets"]) | {"penalty": penalty}
            metrics["predictions"] = collect(rows, batch)
        return model_state, metrics

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        rows, names = metrics["predictions"], trained.metadata["class_names"]
        return classify_figures.predictions(rows, batches, trained.metadata) | (
            classify_sound_figures.mistakes(rows, batches, names, trained.metadata["rate"])
        )

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """Probabilities [1, K] of the classes."""
        return jax.nn.softmax(_logits(model, params, batch, jax.random.key(0), train=False))

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        names = trained.metadata["class_names"]
        return classify_sound_figures.prediction(
            source["audio"], int(source["rate"]), names, outputs[0]
        )


def _logits(model: nn.Module, params: Any, batch: Batch, key: jax.Array, train: bool) -> jax.Array:
    return model.apply(
        {"params": params}, batch["inputs"], lengths=batch["lengths"], train=train,
        rngs={"dropout": key},
    )  # fmt: skip
