"""torchvision's Python code, also without its compiled operators: nms is then in plain torch."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
_DEFINED = []  # libraries of operators, which end with their object


def detection() -> ModuleType:
    """`torchvision.models.detection`, whatever torch it was built for; skips without it."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None:
        pytest.skip("torchvision is not installed")
    if "torchvision" not in sys.modules:
        try:
            torch.ops.load_library(str(Path(spec.origin).parent / "_C.so"))
        except OSError:
            library = torch.library.Library("torchvision", "DEF")
            library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            library.impl("nms", _nms, "CPU")
            _DEFINED.append(library)
    import torchvision.models.detection
    import torchvision.ops.boxes

    if _DEFINED:
        torchvision.ops.boxes._assert_has_ops = lambda: None
        align = sys.modules["torchvision.ops.roi_align"]
        align._roi_align = getattr(align._roi_align, "__wrapped__", align._roi_align)  # eager
    return torchvision.models.detection


def _nms(boxes, scores, threshold):
    kept, alive = [], torch.ones(len(boxes), dtype=torch.bool)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    for i in scores.argsort(descending=True).tolist():
        if alive[i]:
            kept.append(i)
            low = torch.maximum(boxes[i, :2], boxes[:, :2])
            high = torch.minimum(boxes[i, 2:], boxes[:, 2:])
            both = (high - low).clamp(min=0).prod(1)
            alive &= both / (areas[i] + areas - both) <= threshold
    return torch.tensor(kept, dtype=torch.long)
