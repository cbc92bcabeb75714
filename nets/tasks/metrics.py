"""Metrics of a split: masked sums, which batches add up, and rows, which are kept to its end."""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Rows(NamedTuple):
    """Values of every example, kept to the end of a split: decoded symbols, boxes, scores.

    Attributes:
        values: a tree of arrays [B, ...]; at the end of the split lists of arrays, one an example.
        mask: [B], above 0 where a row is an example; at the end None, since those alone are kept.
    """

    values: Any
    mask: jax.Array | None


Metrics = dict[str, "tuple[Any, Any] | Rows"]
"""By name a sum and its weight, or rows. A sum may be an array, such as a confusion matrix."""


def weights(each: jax.Array, batch: dict) -> jax.Array:
    """The batch's mask, [B] or [B, T], in the shape of `each`; ones where there is none."""
    if "mask" not in batch:
        return jnp.ones(each.shape)
    mask = batch["mask"]
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (each.ndim - mask.ndim)), each.shape)


def masked_sum(each: jax.Array, batch: dict) -> tuple[jax.Array, jax.Array]:
    """Sum and weight of values of each row [B] or step [B, T], by the batch's mask."""
    mask = weights(each, batch)
    return jnp.sum(each * mask), mask.sum()


def exact_match(right: jax.Array, batch: dict) -> tuple[jax.Array, jax.Array]:
    """Sum and weight of the rows [B, T] that are right at every step that counts."""
    mask = weights(right, batch) > 0
    counts = mask.any(1).astype(jnp.float32)
    return jnp.sum((right | ~mask).all(1) * counts), counts.sum()


def collect(values: Any, batch: dict) -> Rows:
    """Rows [B, ...] of a batch, to be kept to the end of the split."""
    rows = len(jax.tree.leaves(values)[0])
    mask = batch["mask"].reshape(rows, -1).max(1) if "mask" in batch else jnp.ones(rows)
    return Rows(values, mask)


def add(totals: Metrics, metrics: Metrics) -> Metrics:
    """The totals with one batch more, on the host: sums in float64, rows without padding."""
    new = {}
    for name, metric in metrics.items():
        before = totals.get(name)
        if isinstance(metric, Rows):
            counts = np.flatnonzero(metric.mask)
            rows = jax.tree.map(lambda a, counts=counts: list(np.asarray(a)[counts]), metric.values)
            if before is not None:
                rows = jax.tree.map(
                    operator.add, before.values, rows, is_leaf=lambda a: isinstance(a, list)
                )
            new[name] = Rows(rows, None)
        else:
            pairs = zip(before or (0.0, 0.0), metric, strict=True)
            new[name] = tuple(total + np.asarray(x, np.float64) for total, x in pairs)
    return new


def mean(metric: tuple[jax.Array, jax.Array]) -> jax.Array:
    """The mean, from its sum and weight."""
    return metric[0] / metric[1]


def compute(metrics: Metrics) -> dict[str, float]:
    """The mean of each masked sum of positive weight, where that is a number.

    Rows and arrays are left to who collected them.
    """
    sums = {
        name: metric
        for name, metric in metrics.items()
        if not isinstance(metric, Rows) and np.ndim(metric[0]) == 0
    }
    return {name: float(mean((s, w))) for name, (s, w) in sums.items() if w > 0}


def edit_distance(decoded: Sequence[int], target: Sequence[int]) -> int:
    """The least number of insertions, deletions and substitutions from one to the other
    (Levenshtein 1966).

    >>> edit_distance([1, 2, 3], [1, 3, 3, 4])
    2
    """
    above = list(range(len(target) + 1))
    for i, symbol in enumerate(decoded, 1):
        row = [i]
        for j, other in enumerate(target, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (symbol != other)))
        above = row
    return above[-1]


def roc_auc(targets: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, the mean of each class against the rest, by scikit-learn.

    That is the probability that a row of the class has a higher score for it than a row of another.

    Args:
        targets: classes [N].
        scores: [N, K], higher where a class is more likely.

    Returns:
        the mean over the classes of which there are rows and others than those; NaN without any.
    """
    from sklearn.metrics import roc_auc_score

    classes = [k for k in range(scores.shape[1]) if 0 < np.sum(targets == k) < len(targets)]
    return float(np.mean([roc_auc_score(targets == k, scores[:, k]) for k in classes] or [np.nan]))
