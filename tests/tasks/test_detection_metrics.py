"""Average precision: by hand, and COCO's beside it."""

import jax.numpy as jnp
import numpy as np
import pytest

from nets.errors import UserError
from nets.layers.boxes import iou
from nets.tasks import detection_metrics
from nets.tasks.detection_metrics import Image, average_precision, curve

A, B, FAR = (0.0, 0, 10, 10), (20.0, 20, 30, 30), (50.0, 50, 60, 60)


def image(detections, objects, difficult=None):
    boxes, scores, classes = zip(*detections, strict=True) if detections else ((), (), ())
    return Image(
        np.array(boxes, float).reshape(-1, 4),
        np.array(scores, float),
        np.array(classes, int),
        np.array([box for box, _ in objects], float).reshape(-1, 4),
        np.array([k for _, k in objects], int),
        difficult,
    )


def test_average_precision_by_hand():
    # by falling scores right, wrong (taken already), wrong (nothing there), right
    first = image([(A, 0.9, 0), (A, 0.8, 0), (FAR, 0.7, 0)], [(A, 0)])
    second = image([(B, 0.6, 0)], [(B, 0), (FAR, 1)])
    found = curve([first, second], 0)
    assert found.precision.tolist() == [1, 1 / 2, 1 / 3, 2 / 4]
    assert found.recall.tolist() == [0.5, 0.5, 0.5, 1.0] and found.objects == 2
    assert average_precision(found) == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    # precision 1 at recalls 0 to 0.5, 0.5 from 0.6 to 1
    assert average_precision(found, "11") == pytest.approx((6 * 1 + 5 * 0.5) / 11)
    missed = curve([first, second], 1)
    assert average_precision(missed) == 0 and missed.objects == 1
    assert np.isnan(average_precision(curve([first], 1)))


def test_difficult_objects_count_neither_for_nor_against():
    found = curve([image([(A, 0.9, 0), (B, 0.8, 0)], [(A, 0), (B, 0)], np.array([1, 0]))], 0)
    assert found.objects == 1 and found.precision.tolist() == [1] and found.recall.tolist() == [1]


def test_an_image_without_objects_counts_its_false_detections():
    found = curve([image([(A, 0.9, 0)], []), image([(A, 0.8, 0)], [(A, 0)])], 0)
    assert found.precision.tolist() == [0, 0.5] and average_precision(found) == 0.5


def test_overlaps_are_those_of_the_layer():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 20, (9, 2))
    boxes = np.concatenate([low, low + rng.uniform(-1, 20, (9, 2))], 1)  # one or the other inverted
    expected = iou(jnp.array(boxes[:5, None]), jnp.array(boxes[None, 5:]))
    np.testing.assert_allclose(detection_metrics.iou(boxes[:5], boxes[5:]), expected, rtol=1e-5)


def test_coco_agrees_where_the_two_definitions_meet():
    pytest.importorskip("pycocotools")
    rng = np.random.default_rng(0)
    images = []
    for _ in range(30):
        low = rng.uniform(0, 80, (4, 2))
        true = np.concatenate([low, low + rng.uniform(10, 40, (4, 2))], 1)
        moved = true + rng.normal(0, 4, true.shape)
        images.append(Image(moved, rng.random(4), np.arange(4) % 2, true, np.arange(4) % 2))
    ours = np.mean([average_precision(curve(images, k)) for k in (0, 1)])
    theirs = detection_metrics.coco(images)
    # COCO's precision is read off at 101 recalls instead of integrated
    assert theirs["coco_map50"] == pytest.approx(ours, abs=0.02)
    assert theirs["coco_map75"] < theirs["coco_map50"] and theirs["coco_map"] < ours
    perfect = [one._replace(boxes=one.true_boxes) for one in images]
    assert detection_metrics.coco(perfect)["coco_map"] == pytest.approx(1)
    nothing = [one._replace(classes=np.full(4, -1)) for one in images]
    assert detection_metrics.coco(nothing)["coco_map"] == 0
    no_object = [one._replace(true_classes=np.full(4, -1)) for one in images]
    assert np.isnan(list(detection_metrics.coco(no_object).values())).all()


def test_without_pycocotools_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycocotools.coco", None)
    with pytest.raises(UserError, match="detection"):
        detection_metrics.import_coco()
