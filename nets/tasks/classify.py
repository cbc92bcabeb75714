"""Classification: three published criteria, accuracy, rejection, pictures."""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nets.tasks.views import Images, Lines, Matrix, View


def cross_entropy(logits: jax.Array, labels: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """Softmax cross-entropy [B] in nats of logits [B, K], labels [B] smoothed by `smoothing`."""
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), smoothing)
    return optax.softmax_cross_entropy(logits, targets)


def squared_error(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Half the mean squared distance [B] of outputs [B, K] to targets of +1 (label) and -1 (rest).

    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition", section 3.3.
    """
    targets = 2 * jax.nn.one_hot(labels, outputs.shape[-1]) - 1
    return 0.5 * jnp.mean(jnp.square(outputs - targets), -1)


def map_criterion(distances: jax.Array, labels: jax.Array, j: float = 1.0) -> jax.Array:
    """LeCun et al. 1998, equation 9: y_D + log(e^-j + sum_i e^-y_i), [B] of distances y [B, K].

    The constant j bounds the penalty on the wrong classes' distances: past it they are left alone.
    The paper prints no value for it.
    """
    own = jnp.take_along_axis(distances, labels[:, None], -1)[:, 0]
    rubbish = jnp.full_like(distances[:, :1], -j)
    return own + jax.nn.logsumexp(jnp.concatenate([rubbish, -distances], -1), -1)


@dataclasses.dataclass(frozen=True)
class Classify:
    """Joins a classifier `model(x, train=...) -> [B, K]` to one of three criteria.

    Metrics: loss, accuracy, and the confusion matrix (true class by row).

    Attributes:
        criterion: cross_entropy of logits; squared (targets +-1, LeCun 1989); map (distances, the
            smallest of which is the answer, LeCun 1998 equation 9).
        smoothing: label smoothing of the cross-entropy.
        j: the constant of the map criterion.
    """

    criterion: Literal["cross_entropy", "squared", "map"] = "cross_entropy"
    smoothing: float = 0.0
    j: float = 1.0

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        kept = flax.core.DenyList("intermediates")
        variables = model.init(key, batch["image"], train=False, mutable=kept)
        return variables["params"], {k: v for k, v in variables.items() if k != "params"}

    def loss(self, model, params, model_state, batch, key, train):
        outputs, updated = model.apply(
            {"params": params, **model_state},
            batch["image"],
            train=train,
            rngs={"dropout": key},
            mutable=list(model_state) if train else [],
        )
        model_state = {**model_state, **updated}
        each = self.penalty(outputs, batch["label"])
        mask = batch["mask"] if "mask" in batch else jnp.ones_like(each)
        weight = mask.sum()
        answers = self.scores(outputs).argmax(-1)
        classes = outputs.shape[-1]
        confusion = (jax.nn.one_hot(batch["label"], classes) * mask[:, None]).T @ jax.nn.one_hot(
            answers, classes
        )
        metrics = {
            "loss": (jnp.sum(each * mask), weight),
            "accuracy": (jnp.sum((answers == batch["label"]) * mask), weight),
        }
        if not train:
            metrics["confusion"] = (confusion, weight)
        return metrics["loss"][0] / weight, (model_state, metrics)

    def penalty(self, outputs: jax.Array, labels: jax.Array) -> jax.Array:
        """The criterion of each example, [B]."""
        if self.criterion == "squared":
            return squared_error(outputs, labels)
        if self.criterion == "map":
            return map_criterion(outputs, labels, self.j)
        return cross_entropy(outputs, labels, self.smoothing)

    def scores(self, outputs: jax.Array) -> jax.Array:
        """Outputs so turned that the largest is the answer."""
        return -outputs if self.criterion == "map" else outputs

    def finish(self, sums: dict) -> dict[str, float]:
        return {k: float(s / w) for k, (s, w) in sums.items() if np.ndim(s) == 0}

    def views(self, model, params, model_state, batches: Iterable[dict], facts, key, final: bool):
        if not final:
            return {}
        apply = jax.jit(lambda x: model.apply({"params": params, **model_state}, x, train=False))
        images, labels, outputs = [], [], []
        for batch in batches:
            real = np.asarray(batch["mask"]) > 0
            images.append(np.asarray(batch["image"])[real])
            labels.append(np.asarray(batch["label"])[real])
            outputs.append(np.asarray(apply(batch["image"]))[real])
        images, labels, outputs = map(np.concatenate, (images, labels, outputs))
        return self.pictures(params, images, labels, outputs, facts["class_names"])

    def pictures(self, params, images, labels, outputs, names) -> dict[str, View]:
        """Views of a whole split: worst mistakes, confusion matrix, filters, rejection curve."""
        scores = np.asarray(self.scores(outputs))
        answers = scores.argmax(-1)
        penalty = np.asarray(self.penalty(jnp.asarray(outputs), jnp.asarray(labels)))
        wrong = np.flatnonzero(answers != labels)
        worst = wrong[np.argsort(-penalty[wrong], kind="stable")][:24]
        confusion = np.zeros((len(names), len(names)), int)
        np.add.at(confusion, (labels, answers), 1)
        found: dict[str, View] = {
            "confusion": Matrix(
                f"Confusion matrix: {len(wrong)} of {len(labels)} wrong",
                confusion,
                tuple(names),
                tuple(names),
                "true class",
                "answer",
            ),
            "rejection": rejection_view(scores, labels),
        }
        if len(worst):
            captions = tuple(f"{names[labels[i]]} read as {names[answers[i]]}" for i in worst)
            found["mistakes"] = Images("The worst mistakes", images[worst], captions)
        kernels = [
            v
            for path, v in jax.tree_util.tree_leaves_with_path(params)
            if np.ndim(v) == 4 and str(path[-1].key).endswith("kernel")
        ]
        if kernels and kernels[0].shape[2] in (1, 3):
            filters = np.moveaxis(np.asarray(kernels[0], np.float32), -1, 0)[:64]
            captions = tuple(str(i) for i in range(len(filters)))
            found["filters"] = Images("First-layer filters", filters, captions)
        return found


def rejection_curve(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error among the accepted against the share rejected, least certain first.

    An answer is as certain as the margin between the two largest scores (LeCun et al. 1989 reject
    by the two most active outputs).

    Returns:
        rejected [N] and error [N], both shares in [0, 1]; entry k has the k least certain rejected.
    """
    top = np.sort(scores, -1)
    order = np.argsort(top[:, -1] - top[:, -2], kind="stable")
    wrong = (scores.argmax(-1) != labels)[order]
    left = np.cumsum(wrong[::-1])[::-1]
    n = len(labels)
    return np.arange(n) / n, left / (n - np.arange(n))


def rejection_view(scores: np.ndarray, labels: np.ndarray) -> Lines:
    rejected, error = rejection_curve(scores, labels)
    shown = rejected <= 0.5
    curves = {"error of the accepted": 100 * error[shown]}
    return Lines(
        "Error against rejection", 100 * rejected[shown], curves, "rejected / %", "error / %"
    )
