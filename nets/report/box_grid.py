"""Images with boxes drawn into them."""

import dataclasses
import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nets.report.figures import COLOURS, POINT, Picture


class Box(NamedTuple):
    """A box of an image.

    Attributes:
        corners: x0, y0, x1, y1 in pixels.
        label: text above it.
        kind: boxes of a kind have one colour and one line of the legend.
    """

    corners: tuple[float, float, float, float]
    label: str
    kind: str


@dataclasses.dataclass(frozen=True, eq=False)
class BoxGrid(Picture):
    """A grid of images [N, H, W, C] (uint8, C 1 or 3), each with its boxes.

    Attributes:
        boxes: of each image.
        kinds: the kinds of boxes, by their order in the legend.
        columns: images in a line.
        cell: inches of an image's longer side.
        dashed: whether the boxes of the first kind are dashed.
        titles: of each image; empty means none.
    """

    images: np.ndarray
    boxes: tuple[tuple[Box, ...], ...]
    kinds: tuple[str, ...]
    columns: int = 4
    cell: float = 2.6
    dashed: bool = True
    titles: tuple[str, ...] = ()

    def draw(self, canvas: Any) -> None:
        from matplotlib.lines import Line2D

        count, height, width, channels = self.images.shape
        columns = min(self.columns, count)
        rows = math.ceil(count / columns)
        scale = self.cell / max(height, width)
        size = max(scale * width * columns, self.cell), scale * height * rows + 0.8
        canvas.set_size_inches(*size)
        style = {
            kind: {
                "color": COLOURS[i % 6],
                "linestyle": "--" if self.dashed and i == 0 else "-",
                "linewidth": 1.6,
            }
            for i, kind in enumerate(self.kinds)
        }
        for i, (image, boxes) in enumerate(zip(self.images, self.boxes, strict=True)):
            axes = canvas.add_subplot(rows, columns, i + 1)
            pixels = image[..., 0] if channels == 1 else image
            axes.imshow(pixels, "gray", vmin=0, vmax=255, extent=(0, width, height, 0))
            places = label_places(boxes, (width, height), POINT / 72 / scale)
            for box, place in zip(boxes, places, strict=True):
                _frame(axes, box, style[box.kind], place)
            axes.set(xlim=(0, width), ylim=(height, 0))
            axes.axis("off")
            if self.titles:
                axes.set_title(self.titles[i], fontsize=POINT + 1)
        handles = [Line2D([], [], label=kind, **style[kind]) for kind in self.kinds]
        if handles:
            canvas.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=POINT)
        canvas.suptitle(textwrap.fill(self.title, int(size[0] * 11)), fontsize=POINT + 3)


def label_places(
    boxes: Sequence[Box], size: tuple[int, int], letter: float
) -> list[tuple[float, float]]:
    """Where the label of each box starts: its upper left corner (x, y), in pixels of the image.

    A label stands on its box's upper edge, or under it at the top of the image, further left at its
    right edge, and moves down until it hides no label before it.

    Args:
        size: width and height of the image.
        letter: height of a letter in pixels.
    """
    taken: list[tuple[float, float, float]] = []
    for box in boxes:
        x0, y0 = box.corners[:2]
        width, height = 0.65 * letter * len(box.label), 1.4 * letter
        x = max(min(x0, size[0] - width), 0)
        y = y0 if y0 < height else y0 - height
        while box.label and any(
            x < u + w and u < x + width and abs(y - v) < height for u, v, w in taken
        ):
            y += height / 4
        taken.append((x, y, width if box.label else 0))
    return [(x, y) for x, y, _ in taken]


def _frame(axes: Any, box: Box, style: dict[str, Any], place: tuple[float, float]) -> None:
    """Draws a box, and its label at that place."""
    from matplotlib.patches import Rectangle

    x0, y0, x1, y1 = box.corners
    shape = {k: style[k] for k in ("linestyle", "linewidth")}
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=style["color"], **shape))
    if box.label:
        axes.text(
            *place, box.label, fontsize=POINT, clip_on=True, color="white", ha="left", va="top",
            bbox={"facecolor": style["color"], "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
