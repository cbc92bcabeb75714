"""Non-maximum suppression beside torchvision's operator."""

import jax
import numpy as np
import pytest

from nets.layers.boxes import nms

torch = pytest.importorskip("torch")


@pytest.fixture(params=["compiled", "plain torch"])
def ops(request):
    from tests.support import torchvision_ops

    return torchvision_ops.ops(request.param)


@pytest.fixture(scope="module")
def scored():
    """Boxes, scores of which some are equal, and classes."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 80, (300, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 40, (300, 2))], 1).astype(np.float32)
    boxes[7] = boxes[8]
    return boxes, rng.permutation(300).astype(np.float32) // 2, rng.integers(0, 4, 300)


def selected(selection):
    return selection.index[selection.valid].tolist()


suppress = jax.jit(nms, static_argnums=(2, 3))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_suppression_is_torchvisions(ops, scored, threshold):
    boxes, scores, classes = scored
    tensors = torch.tensor(boxes), torch.tensor(scores)
    expected = ops.nms(*tensors, iou_threshold=threshold).tolist()
    assert selected(suppress(boxes, scores, threshold, 300)) == expected
    by_class = ops.batched_nms(*tensors, torch.tensor(classes), iou_threshold=threshold).tolist()
    assert selected(suppress(boxes, scores, threshold, 300, classes)) == by_class
    assert 5 < len(expected) < len(by_class) < 300


def test_an_overlap_of_the_threshold_itself_suppresses_nothing(ops):
    boxes = np.array([[0, 0, 4, 2], [0, 0, 2, 2], [0, 0, 4, 3]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)  # overlaps 1/2, 2/3 and 1/3
    expected = ops.nms(torch.tensor(boxes), torch.tensor(scores), 0.5).tolist()
    assert selected(suppress(boxes, scores, 0.5, 3)) == expected == [0, 1]
