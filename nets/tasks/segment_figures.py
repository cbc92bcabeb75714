"""Figures of a segmentation: masks beside the truth, scores of classes; the mask of one image."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nets.report.bar_chart import BarChart
from nets.report.class_mask import ClassMask
from nets.report.figures import Figure, stored_pixels
from nets.report.heatmap import Heatmap
from nets.report.mask_grid import MaskGrid
from nets.tasks import segmentation_metrics
from nets.tasks.task import Prediction

_LONGEST = 1200  # pixels of the longer side of a picture


def side_by_side(
    title: str,
    inputs: np.ndarray,
    targets: np.ndarray,
    predictions: dict[str, np.ndarray],
    metadata: dict[str, Any],
) -> MaskGrid:
    """Images, their true masks and predicted ones, with the scores of each.

    Args:
        title: of the picture.
        inputs: [N, H, W, C], as networks read them.
        targets: [N, H, W], -1 where they are void.
        predictions: classes [N, H, W] by the title of their column, such as the network's name.
        metadata: that of the data: class_names, class_colours, pixel_scale and pixel_offset.
    """
    count = len(metadata["class_names"])
    notes = {}
    for name, masks in predictions.items():
        matrices = [
            segmentation_metrics.confusion_on_host(t, p, count)
            for t, p in zip(targets, masks, strict=True)
        ]
        notes[name] = tuple(map(_note, matrices))
    colours = tuple(map(tuple, metadata["class_colours"]))
    masks = {"truth": targets, **predictions}
    return MaskGrid(
        title, pixels(inputs, metadata), masks, tuple(metadata["class_names"]), colours, notes
    )


def pixels(inputs: np.ndarray, metadata: dict[str, Any]) -> np.ndarray:
    """Images as networks read them, turned back into uint8."""
    return np.clip(np.round(stored_pixels(inputs, metadata)[0]), 0, 255).astype(np.uint8)


def sample(batches: Sequence[dict], count: int = 6) -> dict[str, np.ndarray]:
    """That many rows of a split, evenly spaced, as one batch without padding.

    Args:
        batches: those of the split, whose "mask" is 0 for rows that only fill up.
        count: number of rows; of a smaller split all.
    """
    size, last = len(batches[0]["mask"]), np.asarray(batches[len(batches) - 1]["mask"])
    total = size * (len(batches) - 1) + int((last > 0).sum())
    rows = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    needed = {i: batches[int(i)] for i in np.unique(rows // size)}
    names = needed[0].keys() - {"mask"}
    return {k: np.stack([np.asarray(needed[r // size][k][r % size]) for r in rows]) for k in names}


def predictions(
    inputs: np.ndarray,
    targets: np.ndarray,
    masks: dict[str, np.ndarray],
    metadata: dict[str, Any],
) -> MaskGrid:
    """Images beside the truth and what a network predicts (`side_by_side`)."""
    title = "The class of every pixel, in truth and as predicted; void is not scored"
    return side_by_side(title, inputs, targets, masks, metadata)


def scores(matrix: np.ndarray, metadata: dict[str, Any]) -> dict[str, Figure]:
    """Intersection over union of each class, and the confusion matrix in shares.

    Args:
        matrix: confusion matrix [K, K] of a split.
        metadata: that of the data: class_names, class_colours.
    """
    names = tuple(metadata["class_names"])
    totals = matrix.sum(1)
    shares = 100 * totals / max(totals.sum(), 1)
    labels = tuple(f"{name} ({share:.2g}%)" for name, share in zip(names, shares, strict=True))
    rows = np.round(matrix / np.maximum(totals, 1)[:, None], 2)
    return {
        "iou": BarChart(
            "Intersection over union of each class (its share of the pixels)",
            labels,
            segmentation_metrics.class_iou(matrix),
            "intersection over union",
            limit=1.0,
            mark=("mean", segmentation_metrics.mean_iou(matrix)),
            colours=tuple(map(tuple, metadata["class_colours"])),
        ),
        "confusion": Heatmap(
            "Where the pixels of a class go", rows, names, names, "true class", "predicted class",
            unit="share of the class's pixels",
        ),
    }  # fmt: skip


def prediction(metadata: dict[str, Any], source: dict, classes: np.ndarray) -> Prediction:
    """The class of each pixel of an image, in the image's own size, and the shares of classes.

    Args:
        metadata: that of the data: class_names, class_colours.
        source: of an image (`nets.data.dataset.Input`).
        classes: [h, w], of what the model has read.
    """
    image, names = source["image"], tuple(metadata["class_names"])
    mask = mask_of_image(classes, source["matrix"], image.shape[:2])
    counts = np.bincount(mask[mask >= 0], minlength=len(names))
    order = [k for k in np.argsort(-counts, kind="stable").tolist() if counts[k]]
    shares = [
        {"class": names[k], "id": k, "share": round(float(counts[k] / mask.size), 6)} for k in order
    ]
    colours = tuple(map(tuple, metadata["class_colours"]))
    summary = "  ".join(f"{row['class']} {row['share']:.1%}" for row in shares)
    step = -(-max(mask.shape) // _LONGEST)
    pictures = image[None, ::step, ::step, :3], {"prediction": mask[None, ::step, ::step]}
    return Prediction(
        summary,
        {"width": image.shape[1], "height": image.shape[0], "classes": shares},
        MaskGrid("The class of every pixel", *pictures, names, colours, cell=4.5),
        {"mask": ClassMask("The class of every pixel", mask, colours)},
    )


def mask_of_image(classes: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask [*size] of an image that a model has read in another size; -1 where it has not.

    Args:
        classes: [h, w], of what the model has read.
        matrix: [3, 3], from positions x and y in the image to those in what the model has read,
            which is neither turned nor sheared.
        size: height and width of the image.
    """
    rows, columns = (
        np.floor(matrix[k, k] * (np.arange(n) + 0.5) + matrix[k, 2]).astype(int)
        for k, n in ((1, size[0]), (0, size[1]))
    )
    framed = np.pad(classes.astype(np.int32), 1, constant_values=-1)  # -1 all around
    height, width = classes.shape
    return framed[rows.clip(-1, height) + 1][:, columns.clip(-1, width) + 1]


def _note(matrix: np.ndarray) -> str:
    right, iou = segmentation_metrics.pixel_accuracy(matrix), segmentation_metrics.mean_iou(matrix)
    return f"{right:.1%} right, mean IoU {iou:.2f}"
