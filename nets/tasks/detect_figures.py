"""Figures of a detection run: boxes beside the truth, precision over recall."""

from typing import Any

import numpy as np

from nets.report.box_grid import Box, BoxGrid
from nets.report.figures import stored_pixels
from nets.report.line_plot import LinePlot
from nets.tasks import detection_metrics
from nets.tasks.detection_metrics import Image, average_precision

_IMAGES = 12
_MIN_SCORE = 0.3  # of boxes that are drawn


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
