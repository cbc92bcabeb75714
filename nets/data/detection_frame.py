"""Photographs with boxes in images of one size: fitted in, scaled, shifted and mirrored."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nets.data import annotations, crops
from nets.data.annotations import Example, Size


class Frame(NamedTuple):
    """Images of one size that photographs of any size are fitted in.

    Attributes:
        size: height and width in pixels.
        fit: "letterbox" keeps the aspect ratio, the photograph at the upper left; "stretch" does
            not.
        background: pixel value, 0 to 255, of what a photograph does not cover.
    """

    size: Size
    fit: str
    background: int

    def part(self, example: Example) -> Size:
        """Height and width that the example's image has in one of the frame's size."""
        return (
            self.size if self.fit == "stretch" else crops.fitted(example.image.shape[:2], self.size)
        )

    def placed(self, example: Example) -> Example:
        """The example fitted in."""
        return crops.place(example, self.part(example), (0, 0), self.size, self.background)

    def jittered(
        self,
        example: Example,
        rng: np.random.Generator,
        scale: float,
        shift: float,
        min_visible: float,
    ) -> Example:
        """The example fitted in, enlarged or reduced about its middle, and shifted.

        Args:
            scale: maximum change of its sides, as a share.
            shift: maximum shift along each axis, as a share of the sides.
            min_visible: a box of which a smaller share of the area stays in sight is left out.
        """
        part, (zoom, down, across) = self.part(example), rng.uniform(-1, 1, 3)
        scaled = tuple(max(1, round(side * (1 + scale * zoom))) for side in part)
        moves = shift * down, shift * across
        corner = tuple(
            round((a - b) / 2 + move * a) for a, b, move in zip(part, scaled, moves, strict=True)
        )
        height, width = example.image.shape[:2]
        matrix = annotations.resizing((0, 0, width, height), scaled)
        matrix = annotations.translation(*corner[::-1]) @ matrix
        shares = annotations.visible_shares(example.boxes, matrix, self.size)
        visible = shares >= min_visible
        example = example._replace(boxes=example.boxes[visible], label=example.label[visible])
        return crops.place(example, scaled, corner, self.size, self.background)

    def mirrored(
        self, example: Example, rng: np.random.Generator, across: bool, down: bool
    ) -> Example:
        """An example of the frame's size mirrored left to right, and upside down, half of the time.

        Args:
            across: whether left to right.
            down: whether upside down.
        """
        chosen = (rng.random(2) < 0.5) & (across, down)
        if chosen[0]:
            example = example.moved(example.image[:, ::-1], annotations.mirror(self.size[1]))
        if chosen[1]:
            example = example.moved(example.image[::-1], annotations.upside_down(self.size[0]))
        return example


def padded_boxes(examples: Sequence[Example], limit: int) -> dict[str, np.ndarray]:
    """The arrays "boxes" [B, N, 4] and "targets" [B, N] of examples, filled up to N = limit."""
    boxes = np.zeros((len(examples), limit, 4), np.float32)
    targets = np.full((len(examples), limit), -1, np.int32)
    for i, example in enumerate(examples):
        n = len(example.boxes)
        boxes[i, :n], targets[i, :n] = example.boxes, example.label
    return {"boxes": boxes, "targets": targets}
