"""Images with masks in images of one size: fitted in, enlarged or reduced, and mirrored."""

from typing import NamedTuple

import numpy as np

from nets.data import annotations, crops
from nets.data.annotations import Example, Size
from nets.data.segmentation_loading import VOID


class MaskFrame(NamedTuple):
    """Images of one size that images with masks of any size are fitted in.

    Attributes:
        size: height and width in pixels.
        fit: "letterbox" keeps all of an image and leaves room, void, below or to the right of it;
            "crop" takes the middle of it.
        background: pixel value, 0 to 255, of what an image does not cover.
    """

    size: Size
    fit: str
    background: int

    def part(self, stored: Size) -> Size:
        """Height and width that an image of size `stored` is resized to."""
        if self.fit == "letterbox":
            return crops.fitted(stored, self.size)
        scale = max(a / b for a, b in zip(self.size, stored, strict=True))
        return tuple(max(n, round(scale * b)) for n, b in zip(self.size, stored, strict=True))

    def placed(self, example: Example) -> Example:
        """The example fitted in."""
        part = self.part(example.image.shape[:2])
        corner = tuple(min(0, (n - p) // 2) for n, p in zip(self.size, part, strict=True))
        return crops.place(example, part, corner, self.size, self.background, VOID)

    def scaled(
        self, example: Example, rng: np.random.Generator, scale: tuple[float, float], crop: Size
    ) -> Example:
        """A part of this size, `crop`, at random, of the example fitted in and then enlarged.

        Args:
            scale: smallest and largest factor.
        """
        factor = rng.uniform(*scale)
        part = tuple(max(1, round(factor * side)) for side in self.part(example.masks.shape))
        room = [n - p for n, p in zip(crop, part, strict=True)]
        corner = tuple(int(rng.integers(min(0, r), max(0, r) + 1)) for r in room)
        return crops.place(example, part, corner, crop, self.background, VOID)


def mirrored(example: Example, rng: np.random.Generator) -> Example:
    """The example mirrored left to right half of the time."""
    if rng.random() >= 0.5:
        return example
    width = example.image.shape[1]
    return example.moved(example.image[:, ::-1], annotations.mirror(width))
