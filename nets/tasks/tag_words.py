"""Tagging of words: a class for each word of a sentence, and the score of chunks."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import numpy as np

from nets.errors import missing
from nets.report.figures import Figure
from nets.tasks import tag_words_figures
from nets.tasks.metrics import Metrics, collect, compute, exact_match, mean
from nets.tasks.sequence import class_metrics
from nets.tasks.task import Batch, Prediction, Predictive, Trained


@dataclasses.dataclass(frozen=True)
class TagWords(Predictive):
    """One class per word, by `model(inputs, characters, train=...) -> logits [B, T, K]`.

    The loss is the cross-entropy of each word; padding is in no metric. Metrics: loss (nats),
    accuracy, exact_match (sentences without an error), and with `chunks`, at the end of a run and
    in `eval`, precision, recall and f1 of whole chunks, which the tags B-x, I-x and O mark: those
    of conlleval (Tjong Kim Sang and Buchholz 2000), computed by seqeval.

    Attributes:
        chunks: whether tags mark chunks, which are scored as a whole.
    """

    chunks: bool = False

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match", "precision", "recall", "f1")

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        return model.init(key, batch["inputs"], batch["characters"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        metrics = self._metrics(_logits(model, params, batch, key, train), batch)
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
        logits = _logits(model, params, batch, key, False)
        metrics = self._metrics(logits, batch)
        if final:
            rows = {
                "words": batch["inputs"],
                "target": batch["targets"],
                "prediction": logits.argmax(-1),
                "length": batch["mask"].sum(1).astype(int),
            }
            metrics["sentences"] = collect(rows, batch)
        return model_state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if self.chunks and "sentences" in metrics:
            rows, tags = metrics["sentences"].values, metadata["tags"]
            target, prediction = (
                [
                    [tags[k] for k in ids[:length]]
                    for ids, length in zip(rows[name], rows["length"], strict=True)
                ]
                for name in ("target", "prediction")
            )
            values |= chunk_scores(target, prediction)
        return values

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        return tag_words_figures.mistakes(
            metrics["sentences"].values, trained.metadata["tags"], trained.metadata["vocabulary"]
        )

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> jax.Array:
        """Probabilities [1, T, K] of the tags of each word."""
        logits = model.apply({"params": params}, batch["inputs"], batch["characters"], train=False)
        return jax.nn.softmax(logits)

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        words = source["words"].tolist()
        return tag_words_figures.prediction(trained.metadata, words, outputs[0, : len(words)])

    def _metrics(self, logits: jax.Array, batch: Batch) -> Metrics:
        right = logits.argmax(-1) == batch["targets"]
        return class_metrics(logits, batch) | {"exact_match": exact_match(right, batch)}


def _logits(model: nn.Module, params: Any, batch: Batch, key: jax.Array, train: bool) -> jax.Array:
    return model.apply(
        {"params": params},
        batch["inputs"],
        batch["characters"],
        train=train,
        rngs={"dropout": key},
    )


def chunk_scores(
    target: Sequence[Sequence[str]], prediction: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and f1 of the chunks that tags of sentences mark, by seqeval.

    Raises:
        UserError: seqeval is not installed.
    """
    try:
        from seqeval.metrics.sequence_labeling import get_entities
    except ImportError as error:
        raise missing("the score of chunks", "seqeval", "tagging") from error
    true, predicted = (
        {(i, *chunk) for i, tags in enumerate(sentences) for chunk in get_entities(list(tags))}
        for sentences in (target, prediction)
    )
    right = len(true & predicted)
    precision, recall = right / max(len(predicted), 1), right / max(len(true), 1)
    f1 = 2 * right / max(len(true) + len(predicted), 1)
    return {"precision": precision, "recall": recall, "f1": float(np.float64(f1))}
