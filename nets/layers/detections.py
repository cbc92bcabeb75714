"""Objects of images and what a detector finds, as arrays of fixed shapes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from nets.layers.boxes import nms
from nets.layers.checks import check_at_least, check_between


class Objects(NamedTuple):
    """The true objects of images, each image filled up to N.

    Attributes:
        boxes: [..., N, 4], corners x0, y0, x1, y1 in pixels.
        classes: [..., N] int, -1 where there is none.
    """

    boxes: jax.Array
    classes: jax.Array


class Detections(NamedTuple):
    """Found objects, by falling scores, each image filled up to N.

    Attributes:
        boxes: [..., N, 4], corners x0, y0, x1, y1 in pixels.
        scores: [..., N], 0 where there is none.
        classes: [..., N] int32, -1 where there is none.
    """

    boxes: jax.Array
    scores: jax.Array
    classes: jax.Array


def check_selection(model: str, min_score: float, nms_iou: float, limit: int) -> None:
    """Raises ValueError for settings of `select` that no detector can have; names the model."""
    check_at_least(f"{model}.min_score", min_score, 0)
    check_between(f"{model}.nms_iou", nms_iou, 0, 1)
    check_at_least(f"{model}.limit", limit, 1)


def select(
    boxes: jax.Array,
    scores: jax.Array,
    *,
    min_score: float,
    nms_iou: float,
    limit: int,
    candidates: int = 400,
) -> Detections:
    """The detections of an image: non-maximum suppression in each class.

        >>> boxes = jnp.array([[0.0, 0, 9, 9], [0.0, 0, 9, 8]])
        >>> detections = select(
        ...     boxes, jnp.array([[0.8, 0.1], [0.9, 0.6]]), min_score=0.2, nms_iou=0.5, limit=3
        ... )
        >>> detections.classes.tolist(), detections.boxes[0].tolist()
        ([0, 1, -1], [0.0, 0.0, 9.0, 8.0])

    Args:
        boxes: [N, 4], for all classes, or [N, C, 4].
        scores: [N, C].
        min_score: lower scores are no candidates.
        nms_iou: intersection over union above which the lower score of a class is left out.
        limit: maximum of detections.
        candidates: maximum of boxes that come to the suppression.
    """
    count, num_classes = scores.shape
    values, index = jax.lax.top_k(scores.reshape(-1), min(candidates, scores.size))
    flat = jnp.broadcast_to(boxes.reshape(count, -1, 4), (count, num_classes, 4)).reshape(-1, 4)
    boxes, classes = flat[index], (index % num_classes).astype(jnp.int32)
    values = jnp.where(values >= min_score, values, -jnp.inf)
    selection = nms(boxes, values, nms_iou, limit, classes)
    return Detections(
        jnp.where(selection.valid[:, None], boxes[selection.index], 0),
        jnp.where(selection.valid, values[selection.index], 0),
        jnp.where(selection.valid, classes[selection.index], -1),
    )
