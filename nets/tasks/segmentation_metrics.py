"""Confusion matrices of segmentations, the scores that follow from them, and trimaps."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def confusion(
    targets: jax.Array, predictions: jax.Array, counts: jax.Array, num_classes: int
) -> jax.Array:
    """Confusion matrix [K, K] int32: entry [i, j] is the number of pixels of class i called j.

    Args:
        targets: classes, int32 of any shape.
        predictions: classes, of the same shape.
        counts: bool of the same shape, the pixels that count.
        num_classes: K.
    """
    cells = jnp.where(counts, targets * num_classes + predictions, 0)
    matrix = jnp.bincount(
        cells.reshape(-1), counts.reshape(-1).astype(jnp.int32), length=num_classes**2
    )
    return matrix.reshape(num_classes, num_classes)


def confusion_on_host(targets: np.ndarray, predictions: np.ndarray, count: int) -> np.ndarray:
    """The same of arrays of numpy; pixels whose target is below 0 do not count."""
    counts = targets >= 0
    cells = targets[counts].astype(np.int64) * count + predictions[counts]
    return np.bincount(cells, minlength=count**2).reshape(count, count)


def trimap(targets: jax.Array, width: int) -> jax.Array:
    """Pixels [B, H, W] bool within `width` pixels of a boundary between labels.

    Those are the pixels in whose window of 2 width + 1 pixels a side another label lies; so the two
    pixels on either side of an edge are at distance 1. Void counts as a label: a boundary to void
    is one too, since PASCAL VOC draws void along the contours of objects (Kohli et al. 2009,
    "Robust higher order potentials", section 5; Kraehenbuehl and Koltun 2011, section 5). The
    border of the image is none.

    Args:
        targets: [B, H, W] int32.
        width: at least 1.
    """
    window, strides = (1, 2 * width + 1, 2 * width + 1), (1, 1, 1)
    info = jnp.iinfo(targets.dtype)
    highest = lax.reduce_window(targets, np.int32(info.min), lax.max, window, strides, "SAME")
    lowest = lax.reduce_window(targets, np.int32(info.max), lax.min, window, strides, "SAME")
    return highest != lowest


def pixel_accuracy(matrix: np.ndarray) -> float:
    """The share of pixels that are right; nan of an empty matrix [K, K]."""
    return float(_ratio(np.trace(matrix), matrix.sum()))


def class_accuracy(matrix: np.ndarray) -> float:
    """The mean over classes that occur of the share of their pixels that is right."""
    return _mean(_ratio(np.diag(matrix), matrix.sum(1)))


def class_iou(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union [K] of each class; nan where none is and none is predicted."""
    right = np.diag(matrix)
    return _ratio(right, matrix.sum(0) + matrix.sum(1) - right)


def mean_iou(matrix: np.ndarray) -> float:
    """The mean of `class_iou` over the classes that occur or are predicted.

    Long et al. 2015, "Fully convolutional networks for semantic segmentation", section 5.
    """
    return _mean(class_iou(matrix))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values[~np.isnan(values)])) if not np.isnan(values).all() else float("nan")
