"""Average precision of detections: that of PASCAL VOC, and COCO's by pycocotools; on the host."""

import contextlib
import io
from typing import Any, Literal, NamedTuple

import numpy as np

from nets.errors import missing


class Image(NamedTuple):
    """Detections and objects of one image.

    Attributes:
        boxes: [N, 4] corners of detections.
        scores: [N].
        classes: [N], -1 where there is none.
        true_boxes: [M, 4].
        true_classes: [M], -1 where there is none.
        difficult: [M], objects whose detection counts neither for nor against; None means none is.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    true_boxes: np.ndarray
    true_classes: np.ndarray
    difficult: np.ndarray | None = None


class Curve(NamedTuple):
    """Precision over recall of one class, at each detection by falling scores.

    Attributes:
        recall, precision: [N].
        objects: number of true objects.
    """

    recall: np.ndarray
    precision: np.ndarray
    objects: int


def curve(images: list[Image], k: int, threshold: float = 0.5) -> Curve:
    """Precision and recall of class k (Everingham et al. 2010, section 4.2).

    By falling scores each detection takes the object that it overlaps most: it is right where the
    intersection over union is at least the threshold and no detection before has taken it.
    """
    scores, right, objects = [], [], 0
    for image in images:
        of_class = np.flatnonzero(image.true_classes == k)
        difficult = np.zeros(len(image.true_classes), bool)
        if image.difficult is not None:
            difficult = np.asarray(image.difficult, bool)
        objects += int((~difficult[of_class]).sum())
        chosen = np.flatnonzero(image.classes == k)
        chosen = chosen[np.argsort(-image.scores[chosen], kind="stable")]
        overlap = iou(image.boxes[chosen], image.true_boxes[of_class])
        taken = set()
        for i, score in enumerate(image.scores[chosen]):
            best = int(overlap[i].argmax()) if len(of_class) else -1
            hit = best >= 0 and overlap[i, best] >= threshold
            if hit and difficult[of_class[best]]:
                continue
            scores.append(score)
            right.append(hit and best not in taken)
            taken |= {best} if hit else set()
    order = np.argsort(-np.array(scores), kind="stable")
    hits = np.cumsum(np.array(right, float)[order])
    count = np.arange(1, len(hits) + 1)
    return Curve(hits / max(objects, 1), hits / count, objects)


def average_precision(curve: Curve, points: Literal["area", "11"] = "area") -> float:
    """The area under the precision that no higher recall exceeds; nan of a class without objects.

    With points "11" its mean at recall 0, 0.1, ... 1, as in VOC until 2009.
    """
    if not curve.objects:
        return float("nan")
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    if points == "11":
        levels = [envelope[curve.recall >= t - 1e-12][:1].sum() for t in np.linspace(0, 1, 11)]
        return float(np.mean(levels))
    steps = np.diff(curve.recall, prepend=0.0)
    return float((steps * envelope).sum())


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union [N, M] of boxes a [N, 4] and b [M, 4]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), -1)
    areas = [np.prod(np.maximum(x[:, 2:] - x[:, :2], 0), -1) for x in (a, b)]
    return both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9)


def coco(images: list[Image]) -> dict[str, float]:
    """COCO's average precision over thresholds 0.5 to 0.95, at 0.5 and at 0.75, by pycocotools; nan
    without an object."""
    truth, results = [], []
    for i, image in enumerate(images):
        for k in np.flatnonzero(image.true_classes >= 0):
            x0, y0, x1, y1 = map(float, image.true_boxes[k])
            crowd = int(image.difficult is not None and image.difficult[k])
            truth.append(
                {"id": len(truth) + 1, "image_id": i, "category_id": int(image.true_classes[k]),
                 "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0),
                 "iscrowd": crowd}
            )  # fmt: skip
        for k in np.flatnonzero(image.classes >= 0):
            x0, y0, x1, y1 = map(float, image.boxes[k])
            results.append(
                {"image_id": i, "category_id": int(image.classes[k]),
                 "bbox": [x0, y0, x1 - x0, y1 - y0], "score": float(image.scores[k])}
            )  # fmt: skip
    coco_class, evaluation_class = import_coco()
    if not truth:
        return dict.fromkeys(("coco_map", "coco_map50", "coco_map75"), float("nan"))
    with contextlib.redirect_stdout(io.StringIO()):
        reference = coco_class()
        names = sorted({row["category_id"] for row in truth + results})
        reference.dataset = {
            "images": [{"id": i} for i in range(len(images))],
            "annotations": truth,
            "categories": [{"id": k} for k in names],
        }
        reference.createIndex()
        if not results:
            return dict.fromkeys(("coco_map", "coco_map50", "coco_map75"), 0.0)
        evaluation = evaluation_class(reference, reference.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {
        "coco_map": float(evaluation.stats[0]),
        "coco_map50": float(evaluation.stats[1]),
        "coco_map75": float(evaluation.stats[2]),
    }


def import_coco() -> tuple[Any, Any]:
    """pycocotools' COCO and COCOeval.

    Raises:
        UserError: the extra is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise missing("COCO's average precision", "pycocotools", "detection") from error
    return COCO, COCOeval
