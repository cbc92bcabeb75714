"""Generated scenes as segmentation data: the class of every pixel."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from nets.data import class_colours, scenes
from nets.data.digit_scenes import DigitScenes
from nets.data.shapes import Shapes
from nets.data.synthetic import Batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapeMasks(Shapes):
    """The scenes of `nets.data.shapes.Shapes`: ground (class 0) and five shapes. A batch holds

        inputs   [B, 64, 64, 3] float32, RGB, -1 black to 1 white
        targets  [B, 64, 64] int32, the class of each pixel

    and in an evaluation "mask" [B] float32.
    """

    def examples(self, rngs: Sequence[np.random.Generator], split: str) -> Batch:
        return _shapes(super().examples(rngs, split))

    def target_tokenizer(self, metadata: dict[str, Any]) -> None:
        return None

    def extra_metadata(self) -> dict[str, Any]:
        """synthetic, num_classes, class_names, class_colours, pixel_scale and pixel_offset."""
        return {"synthetic": True, **_metadata(scenes.SHAPES, 3)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitMasks(DigitScenes):
    """The scenes of `nets.data.digit_scenes.DigitScenes`: ground (class 0) and digits.

    A batch holds, S being the side,

        inputs   [B, S, S, 1] float32, -1 black to 1 white
        targets  [B, S, S] int32, the class of each pixel, -1 where two digits overlap

    and in an evaluation "mask" [B] float32.
    """

    def examples(self, rngs: Sequence[np.random.Generator], split: str) -> Batch:
        with_pixels = dataclasses.replace(self, pixels=True)
        batch = DigitScenes.examples(with_pixels, rngs, split)
        return {
            "inputs": batch["inputs"],
            "targets": class_of_pixels(batch["pixels"], batch["targets"] + 1),
        }

    def row(self) -> dict[str, tuple[tuple[int, ...], type]]:
        size = self.side, self.side
        return {"inputs": ((*size, 1), np.float32), "targets": (size, np.int32)}

    def extra_metadata(self) -> dict[str, Any]:
        """num_classes, class_names, class_colours, pixel_scale and pixel_offset."""
        return _metadata(self.class_names(), 1)


def class_of_pixels(masks: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The class [B, H, W] int32 of each pixel: 0 of no object, -1 of several.

    Args:
        masks: the pixels of each object, [B, N, H, W] bool.
        classes: of the objects, [B, N].
    """
    owner = (masks * classes[..., None, None]).sum(1)
    return np.where(masks.sum(1) > 1, -1, owner).astype(np.int32)


def _shapes(batch: Batch) -> Batch:
    """A batch of `Shapes` as one of `ShapeMasks`."""
    inputs = batch["inputs"].astype(np.float32) / 127.5 - 1
    targets = class_of_pixels(batch["object_masks"], batch["objects"][..., 2] + 1)
    return {"inputs": inputs, "targets": targets}


def _metadata(objects: tuple[str, ...], channels: int) -> dict[str, Any]:
    names = ["ground", *objects]
    return {
        "num_classes": len(names),
        "class_names": names,
        "class_colours": [list(colour) for colour in class_colours.default(len(names))],
        "pixel_scale": [2 / 255] * channels,
        "pixel_offset": [-1.0] * channels,
    }
