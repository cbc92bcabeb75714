"""Figures of a detection: boxes beside the truth, precision over recall; boxes of one image."""

from typing import Any

import numpy as np

from nets.report.box_grid import Box, BoxGrid
from nets.report.figures import stored_pixels
from nets.report.line_plot import LinePlot
from nets.tasks import detection_metrics
from nets.tasks.detection_metrics import Image, average_precision
from nets.tasks.task import Prediction, moved_back

_IMAGES = 12
_MIN_SCORE = 0.3  # of boxes that are drawn
_REGIONS = 30  # proposals that are drawn


def detections(images: list[Image], inputs: np.ndarray, metadata: dict[str, Any]) -> BoxGrid:
    """The first images of a split with detections and true boxes."""
    pixels = stored_pixels(np.asarray(inputs[:_IMAGES], np.float32), metadata)[0]
    names, all_boxes = metadata["class_names"], []
    for image in images[: len(pixels)]:
        boxes = [
            Box(tuple(box), "", "true")
            for box, k in zip(image.true_boxes, image.true_classes, strict=True)
            if k >= 0
        ]
        boxes += [
            Box(tuple(box), f"{names[k]} {score:.2f}", "detected")
            for box, score, k in zip(image.boxes, image.scores, image.classes, strict=True)
            if k >= 0 and score >= _MIN_SCORE
        ]
        all_boxes.append(tuple(boxes))
    title = f"Detections with a score of at least {_MIN_SCORE}, and true boxes"
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)[: len(all_boxes)]
    return BoxGrid(title, pixels, tuple(all_boxes), ("true", "detected"))


def proposals(
    anchors: np.ndarray,
    regions: np.ndarray,
    image: Image,
    inputs: np.ndarray,
    metadata: dict[str, Any],
) -> BoxGrid:
    """From anchors to detections in one image.

    Args:
        anchors: [N, 4].
        regions: the proposals [R, 4] of the image, by falling scores.
        image: its detections and objects.
        inputs: [1, H, W, C].
        metadata: that of the data.
    """
    pixels = np.clip(stored_pixels(np.asarray(inputs, np.float32), metadata)[0], 0, 255)
    true = image.true_boxes[image.true_classes >= 0]
    overlap = detection_metrics.iou(anchors, true)
    nearest = anchors[overlap.argmax(0)] if len(true) else anchors[:0]
    detected = image.boxes[(image.classes >= 0) & (image.scores >= _MIN_SCORE)]
    panels = {
        f"the anchor nearest to each,\nof {len(anchors):,}": ("anchor", nearest),
        f"the first {_REGIONS} proposals": ("proposal", regions[:_REGIONS]),
        f"detections with a score\nof at least {_MIN_SCORE}": ("detected", detected),
    }
    boxes = [
        tuple(Box(tuple(box), "", "true") for box in true)
        + tuple(Box(tuple(box), "", kind) for box in of_kind)
        for kind, of_kind in panels.values()
    ]
    return BoxGrid(
        "From anchors to detections in one image",
        np.repeat(pixels.astype(np.uint8), len(panels), 0),
        tuple(boxes),
        ("true", "anchor", "proposal", "detected"),
        titles=tuple(panels),
    )


def precision(images: list[Image], metadata: dict[str, Any]) -> LinePlot:
    """Precision over recall of the classes, the mean of many in one curve."""
    recall = np.linspace(0, 1, 101)
    curves = {}
    for k, name in enumerate(metadata["class_names"]):
        curve = detection_metrics.curve(images, k)
        if curve.objects:
            envelope = [curve.precision[curve.recall >= t].max(initial=0.0) for t in recall]
            curves[f"{name} (AP {average_precision(curve):.3f})"] = np.array(envelope)
    title = "Precision over recall at an intersection over union of 0.5"
    return LinePlot(title, recall, curves, "recall", "precision")


def prediction(
    metadata: dict[str, Any], source: dict[str, np.ndarray], detections: Any
) -> Prediction:
    """The objects of one image; boxes are in its pixels.

    Args:
        metadata: that of the data; "class_names" names the classes.
        source: of an image (`nets.data.dataset.Input`).
        detections: `nets.layers.detections.Detections` [1, N].
    """
    image, names = source["image"], metadata["class_names"]
    height, width, channels = image.shape
    corners = moved_back(np.float64(detections.boxes[0]).reshape(-1, 2, 2), source["matrix"])
    corners = np.sort(np.clip(corners, 0, (width, height)), 1).reshape(-1, 4).round(2).tolist()
    each = zip(corners, detections.scores[0].tolist(), detections.classes[0].tolist(), strict=True)
    objects = [
        {"class": names[k], "id": k, "score": score, "box": box} for box, score, k in each if k >= 0
    ]
    drawn = [row for row in objects if row["score"] >= _MIN_SCORE]
    boxes = tuple(
        Box(tuple(row["box"]), f"{row['class']} {row['score']:.2f}", row["class"]) for row in drawn
    )
    kinds = tuple(name for name in names if any(box.kind == name for box in boxes))
    count = {0: "no object", 1: "1 object"}.get(len(boxes), f"{len(boxes)} objects")
    title = f"{count} with a score of at least {_MIN_SCORE}".capitalize()
    values = {"width": width, "height": height, "drawn_score": _MIN_SCORE, "objects": objects}
    pixels = image if channels in (1, 3) else image[..., :3]
    figure = BoxGrid(title, pixels[None], (boxes,), kinds, columns=1, cell=6.0, dashed=False)
    summary = "  ".join(box.label for box in boxes)
    if not boxes:
        best = f"; the best is {objects[0]['score']:.2f}" if objects else ""
        summary = f"no object with a score of at least {_MIN_SCORE}{best}"
    return Prediction(summary, values, figure)
