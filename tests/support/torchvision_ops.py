"""torchvision's Python code, also without its compiled operators: they are then in plain torch."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
_DEFINED = []  # libraries of operators, which end with their object
_REASONS = []  # why the compiled operators are not loaded


def detection() -> ModuleType:
    """`torchvision.models.detection`, whatever torch it was built for; skips without it."""
    _load()
    import torchvision.models.detection

    return torchvision.models.detection


def ops(kernels: str) -> ModuleType:
    """`torchvision.ops` with its "compiled" kernels, or with those in "plain torch"; skips without.

    Plain torch stands in where nothing compiled is loaded, and nowhere else.
    """
    _load()
    import torchvision.ops

    if kernels == "compiled" and _DEFINED:
        pytest.skip(f"torchvision's compiled operators cannot be loaded: {_REASONS[0]}")
    if kernels == "plain torch" and not _DEFINED:
        pytest.skip("torchvision's compiled operators are loaded, and compared instead")
    return torchvision.ops


def _load() -> None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None:
        pytest.skip("torchvision is not installed")
    if "torchvision" not in sys.modules:
        try:
            torch.ops.load_library(str(Path(spec.origin).parent / "_C.so"))
        except OSError as error:
            _REASONS.append(error.__cause__ or error)
            _define()
    importlib.import_module("torchvision.ops")
    if _DEFINED:
        for name in ("boxes", "roi_pool"):
            sys.modules[f"torchvision.ops.{name}"]._assert_has_ops = lambda: None
        align = sys.modules["torchvision.ops.roi_align"]
        align._roi_align = getattr(align._roi_align, "__wrapped__", align._roi_align)  # eager


def _define() -> None:
    """Operators of torchvision's signatures, but those whose Python code has its own."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    library.define(
        "roi_pool(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
        "int pooled_width) -> (Tensor, Tensor)"
    )
    library.impl("roi_pool", _roi_pool, "CompositeImplicitAutograd")
    _DEFINED.append(library)


def _nms(boxes, scores, threshold):
    kept, alive = [], torch.ones(len(boxes), dtype=torch.bool)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    for i in scores.argsort(descending=True, stable=True).tolist():
        if alive[i]:
            kept.append(i)
            low = torch.maximum(boxes[i, :2], boxes[:, :2])
            high = torch.minimum(boxes[i, 2:], boxes[:, 2:])
            both = (high - low).clamp(min=0).prod(1)
            alive &= both / (areas[i] + areas - both) <= threshold
    return torch.tensor(kept, dtype=torch.long)


def _roi_pool(maps, rois, scale, height, width):
    """[K, C, h, w], and nothing where torchvision has the positions of the maxima."""
    pooled = []
    for image, *box in rois.tolist():
        x0, y0, x1, y1 = (int(math.copysign(math.floor(abs(v * scale) + 0.5), v)) for v in box)
        down = _in_bins(y0, y1, height, maps.shape[2])[:, None, None, :, None]
        across = _in_bins(x0, x1, width, maps.shape[3])[None, :, None, None, :]
        cells = torch.where(down & across, maps[int(image)], -math.inf).flatten(-2)  # [h, w, C, HW]
        maxima = cells.max(-1).values
        pooled.append(torch.where(maxima == -math.inf, 0.0, maxima).permute(2, 0, 1))
    return torch.stack(pooled), maps.new_zeros(0)


def _in_bins(low, high, bins, length):
    """Whether each position [length] is in each bin [bins]."""
    side, k, position = max(high - low + 1, 1), torch.arange(bins), torch.arange(length) - low
    start, end = k * side // bins, -(-(k + 1) * side // bins)
    return (position >= start[:, None]) & (position < end[:, None])
