"""Conversion between weights of torchvision's detectors and variables of the families here."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nets.faster_rcnn import FasterRCNN
from nets.interop import tables
from nets.interop.torch_vision import Arrays, vision_from_torch, vision_to_torch

_PREFIXES = {
    "backbone.body.": "backbone.",
    **{
        f"backbone.fpn.{kind}_blocks.{i}.0.": f"fpn.{kind}.{i}."
        for kind in ("inner", "layer")
        for i in range(4)
    },
    "rpn.head.conv.0.0.": "rpn.conv.",
    "rpn.head.cls_logits.": "rpn.logits.",
    "rpn.head.bbox_pred.": "rpn.offsets.",
    "roi_heads.box_head.": "",
    "roi_heads.box_predictor.cls_score.": "logits.",
    "roi_heads.box_predictor.bbox_pred.": "offsets.",
}


def detector_from_torch(
    state_dict: Mapping[str, Any], model: FasterRCNN, variables: Mapping, *, epsilon: float = 1e-5
) -> dict[str, Any]:
    """Variables with which `FasterRCNNResNet50FPN` equals torchvision's fasterrcnn_resnet50_fpn.

    Class k is torchvision's k + 1; images must have the size that torchvision resizes them to, both
    sides multiples of 32, normalised as for `vision_from_torch`.

    Args:
        state_dict, model, variables: as of `vision_from_torch`.
        epsilon: what torchvision's normalisation adds to the variance: 0 with its published weights
            COCO_V1. The difference from ours is put into the variance.

    Raises:
        TypeError, ValueError: as of `vision_from_torch`.
    """
    made = vision_from_torch(_renamed(state_dict, _PREFIXES), model, variables)
    change = np.float32(epsilon - 1e-5)
    leaves = tables.flat(made).items()
    return tables.nested({k: a + change if k.endswith("/var") else a for k, a in leaves})


def detector_to_torch(variables: Mapping, model: FasterRCNN) -> Arrays:
    """The state dict for torchvision's module; the inverse of `detector_from_torch`."""
    names = {ours: theirs for theirs, ours in _PREFIXES.items() if ours}
    names |= {f"fc{i}.": f"roi_heads.box_head.fc{i}." for i in (6, 7)}
    return _renamed(vision_to_torch(variables, model), names)


def _renamed(arrays: Mapping[str, Any], prefixes: Mapping[str, str]) -> dict[str, Any]:
    renamed = {}
    for name, array in arrays.items():
        old = next((p for p in prefixes if name.startswith(p)), "")
        renamed[prefixes.get(old, "") + name.removeprefix(old)] = array
    return renamed
