"""torchvision's Python code without its compiled operators: nms is written in plain torch."""

import sys

import pytest

torch = pytest.importorskip("torch")


def detection():
    """`torchvision.models.detection`, whatever torch it was built for; skips without it."""
    if "torchvision" not in sys.modules:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl("nms", _nms, "CPU")
        _KEPT.append(library)
    pytest.importorskip("torchvision")
    import torchvision.models.detection
    import torchvision.ops.boxes

    torchvision.ops.boxes._assert_has_ops = lambda: None
    align = sys.modules["torchvision.ops.roi_align"]
    align._roi_align = getattr(align._roi_align, "__wrapped__", align._roi_align)  # not compiled
    return torchvision.models.detection


_KEPT = []


def _nms(boxes, scores, threshold):
    left, kept = scores.argsort(descending=True).tolist(), []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for i in left:
        if not alive[i]:
            continue
        kept.append(i)
        low, high = (
            torch.maximum(boxes[i, :2], boxes[:, :2]),
            torch.minimum(boxes[i, 2:], boxes[:, 2:]),
        )
        both = (high - low).clamp(min=0).prod(1)
        alive &= both / (areas[i] + areas - both) <= threshold
    return torch.tensor(kept, dtype=torch.long)
