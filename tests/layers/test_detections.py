"""The choice of detections against a plain loop over boxes and classes."""

import numpy as np
import pytest

from nets.layers.detections import select
from tests.support.plain_boxes import iou


def plain(boxes, scores, min_score, overlap, limit):
    found = []
    for score, k, i in sorted(
        ((scores[i, k], k, i) for i in range(len(boxes)) for k in range(scores.shape[1])),
        reverse=True,
    ):
        if score < min_score:
            break
        if all(c != k or iou(boxes[i], b) <= overlap for _, c, b in found):
            found.append((score, k, boxes[i]))
    return found[:limit]


@pytest.mark.parametrize("seed", range(3))
def test_selection_is_that_of_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 30, (40, 2))
    boxes = np.concatenate([low, low + rng.uniform(8, 20, (40, 2))], 1).astype(np.float32)
    scores = rng.random((40, 3)).astype(np.float32)
    found = select(boxes, scores, min_score=0.4, nms_iou=0.3, limit=12)
    want = plain(boxes, scores, 0.4, 0.3, 12)
    count = len(want)
    assert 5 < count <= 12
    np.testing.assert_allclose(found.scores[:count], [w[0] for w in want], rtol=1e-6)
    assert found.classes[:count].tolist() == [w[1] for w in want]
    np.testing.assert_allclose(found.boxes[:count], [w[2] for w in want])
    assert (found.classes[count:] == -1).all() and (found.scores[count:] == 0).all()


def test_each_class_may_have_boxes_of_its_own():
    boxes = np.array([[[0, 0, 9, 9], [50, 50, 60, 60]]], np.float32)
    found = select(boxes, np.array([[0.5, 0.9]]), min_score=0.1, nms_iou=0.5, limit=2)
    assert found.classes.tolist() == [1, 0]
    assert found.boxes[:, 0].tolist() == [50, 0]
