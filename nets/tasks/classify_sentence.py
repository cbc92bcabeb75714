"""Classification of sentences: that of sequences, with figures and predictions of words."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from nets.report.figures import Figure
from nets.tasks import classify_sentence_figures, rejection
from nets.tasks.classify_sequence import ClassifySequence
from nets.tasks.metrics import Metrics, collect
from nets.tasks.task import Batch, Prediction, Trained


@dataclasses.dataclass(frozen=True)
class ClassifySentence(ClassifySequence):
    """One class per sentence, by `model(inputs, train=...) -> logits [B, K]`: cross-entropy.

    With `stages=True` the model also returns stages; if "weights" [B, T] are among them, the share
    of each word in the answer, they are drawn. Metrics: those of `ClassifySequence`.
    """

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        state, metrics = super().test(model, params, model_state, batch, key, final)
        if final:
            logits, weights = self.outputs(model, params, model_state, batch)
            rows = rejection.answers(logits, batch["targets"])
            if weights is not None:
                rows["weights"] = weights
            metrics["predictions"] = collect(rows | {"words": batch["inputs"]}, batch)
        return state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        if not self.rejection:
            metrics = {name: m for name, m in metrics.items() if name != "predictions"}
        return super().finish(metrics, metadata, tokenizer)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        return classify_sentence_figures.answers(metrics["predictions"].values, trained.metadata)

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """Probabilities [B, K] of the classes, and the share of each word [B, T], or None."""
        logits, stages = model.apply({"params": params}, batch["inputs"], train=False, stages=True)
        return jax.nn.softmax(logits), stages.get("weights")

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        shares, weights = outputs
        words = source["words"].tolist()
        weights = None if weights is None else weights[0, : len(words)]
        return classify_sentence_figures.prediction(
            trained.metadata["class_names"], words, shares[0], weights
        )
