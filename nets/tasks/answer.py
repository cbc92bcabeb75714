"""Answering questions about images: one of the known answers, and where attention lies."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nets.errors import UserError, check_range
from nets.report.figures import Figure
from nets.tasks import answer_figures
from nets.tasks.answer_metrics import agreement, in_boxes, pointing_loss
from nets.tasks.colours import check_colours, standardised
from nets.tasks.metrics import Metrics, Rows, collect, compute, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Prediction, Predictive, Trained


@dataclasses.dataclass(frozen=True)
class AnswerQuestion(Predictive):
    """Answers by `model(images, questions, train=..., stages=True) -> logits [B, ..., K], stages`.

    Batches have "inputs" [B, H, W, 3] uint8, "questions" [B, ..., T] int32 (words, then zeros),
    "targets" [B, ...] int32 (the answer; -1 is one that the model does not know) and "types"
    [B, ...] int32, the types of the questions by their index in "question_types" of the metadata.
    If several people have answered, "answers" [B, ..., P] int32 are theirs, -1 for what the model
    does not know; if it is known where the objects are that a question describes, "boxes" [B, O, 4]
    (x0, y0, x1, y1 in pixels) and "described" [B, ..., O] int32, which description in the question
    fits each object, from 1, or 0.

    Metrics: loss (cross-entropy in nats, of the answers that the model knows) and accuracy; in an
    evaluation accuracy_TYPE of each type; with the answers of several people

        vqa_accuracy       mean of min(people who gave that answer / 3, 1) (Antol et al. 2015)
        vqa_accuracy_nine  the same, a mean over all sets without one of the people, as the
                           published evaluation code computes it

    and with boxes, if the stages have "weights" [B, ..., N, cells], the attention of N looks to
    cells that the image is cut into,

        in_box_N   share of the attention of look N inside the boxes of the objects described, in
                   questions that are answered right and describe one that is there; the attention
                   to a cell is spread evenly over its pixels
        box_share  share of the image that these boxes cover, over the same questions

    Attributes:
        mean: mean of each colour, 0 to 1, subtracted from the images.
        std: standard deviation of each colour; the images are divided by it.
        pointing: weight of `nets.tasks.answer_metrics.pointing_loss`, which tells each look where
            it should be; needs boxes, and a model that attends. In training it is a metric, too.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    pointing: float = 0.0

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "vqa_accuracy", "vqa_accuracy_nine")

    def __post_init__(self) -> None:
        check_colours(self.std)
        check_range(self, "pointing", at_least=0)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        images = standardised(batch["inputs"], self.mean, self.std)
        variables = model.init(key, images, batch["questions"], train=False)
        return variables["params"], {k: v for k, v in variables.items() if k != "params"}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        (logits, stages), updated = self._apply(model, params, model_state, batch, key, train)
        metrics = _metrics(logits, batch)
        loss = mean(metrics["loss"])
        if self.pointing:
            if "weights" not in stages or "boxes" not in batch:
                raise UserError(
                    f"must be 0 without boxes or for a model that does not attend, got "
                    f"{self.pointing}.",
                    "pointing",
                )
            total, count = pointing_loss(stages["weights"], batch)
            metrics["pointing"] = total, jnp.maximum(count, 1)
            loss = loss + self.pointing * mean(metrics["pointing"])
        return loss, ({**model_state, **updated}, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        (logits, stages), _ = self._apply(model, params, model_state, batch, key, False)
        metrics, answers = _metrics(logits, batch), logits.argmax(-1)
        right = answers == batch["targets"]
        if "weights" in stages and "boxes" in batch:
            metrics |= in_boxes(stages["weights"], right, batch)
        rows = {"right": right, "type": batch["types"], "answer": answers}
        metrics["questions"] = collect(rows, batch)
        return model_state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "questions" in metrics:
            values |= by_type(metrics["questions"], metadata["question_types"])
        return values

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        rows = _first_questions(real(batches[0]))
        logits, weights = _answers(self, trained.model, trained.params, trained.model_state, rows)
        types = by_type(metrics["questions"], trained.metadata["question_types"])
        return answer_figures.answers(
            rows,
            np.asarray(logits.argmax(-1)),
            None if weights is None else np.asarray(weights),
            types,
            trained.metadata,
            trained.tokenizer,
        )

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """The image [1, H, W, 3] that is read, probabilities [1, K], and the attention or None."""
        logits, weights = _answers(self, model, params, model_state, batch)
        return batch["inputs"], jax.nn.softmax(logits), weights

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        (image,), (shares,), weights = outputs
        weights = None if weights is None else weights[0]
        return answer_figures.prediction(trained.metadata, source, image, shares, weights)

    def _apply(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array | None,
        train: bool,
    ) -> tuple[Any, dict]:
        """Logits and stages, and what has changed of the model state."""
        return model.apply(
            {"params": params, **model_state},
            standardised(batch["inputs"], self.mean, self.std),
            batch["questions"],
            train=train,
            stages=True,
            rngs={"dropout": key} if train else None,
            mutable=list(model_state) if train else [],
        )


def by_type(questions: Rows, names: Sequence[str]) -> dict[str, float]:
    """accuracy_TYPE of each type of which there are questions.

    Args:
        questions: "right" and "type" of each.
        names: of the types.
    """
    right, types = (np.ravel(questions.values[k]) for k in ("right", "type"))
    return {
        f"accuracy_{name}": float(np.mean(right[types == k]))
        for k, name in enumerate(names)
        if np.any(types == k)
    }


def _metrics(logits: jax.Array, batch: Batch) -> Metrics:
    targets = batch["targets"]
    known = targets >= 0
    labels = jnp.maximum(targets, 0)
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    total, weight = masked_sum(jnp.where(known, nats, 0), batch)[0], masked_sum(known, batch)[0]
    answers = logits.argmax(-1)
    metrics: Metrics = {
        "loss": (total, jnp.maximum(weight, 1)),
        "accuracy": masked_sum(answers == targets, batch),
    }
    if "answers" in batch:
        whole, nine = agreement(answers, batch["answers"])
        metrics["vqa_accuracy"] = masked_sum(whole, batch)
        metrics["vqa_accuracy_nine"] = masked_sum(nine, batch)
    return metrics


def _first_questions(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The batch with the first question alone of each image that is asked several."""
    if rows["targets"].ndim == 1:
        return rows
    each = ("questions", "targets", "types", "answers", "described")
    return {name: a[:, 0] if name in each else a for name, a in rows.items()}


@functools.partial(jax.jit, static_argnames=("task", "model"))
def _answers(
    task: AnswerQuestion, model: nn.Module, params: Any, model_state: dict, rows: Batch
) -> tuple[jax.Array, jax.Array | None]:
    """Logits [B, K] and attention [B, N, cells], None where there is none."""
    (logits, stages), _ = task._apply(model, params, model_state, rows, None, False)
    return logits, stages.get("weights")
