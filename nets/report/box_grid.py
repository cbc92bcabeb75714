"""Images with boxes drawn into them."""

import dataclasses
import math
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
        kinds: the kinds of boxes, by their order in the legend; the first is dashed.
        columns: images in a line.
    """

    images: np.ndarray
    boxes: tuple[tuple[Box, ...], ...]
    kinds: tuple[str, ...]
    columns: int = 4

    def draw(self, canvas: Any) -> None:
        from matplotlib.lines import Line2D

        count, height, width, channels = self.images.shape
        columns = min(self.columns, count)
        rows = math.ceil(count / columns)
        cell = 2.6
        canvas.set_size_inches(cell * columns, cell * rows * height / width + 0.8)
        style = {
            kind: {"color": COLOURS[i % 6], "linestyle": "-" if i else "--", "linewidth": 1.6}
            for i, kind in enumerate(self.kinds)
        }
        for i, (image, boxes) in enumerate(zip(self.images, self.boxes, strict=True)):
            axes = canvas.add_subplot(rows, columns, i + 1)
            pixels = image[..., 0] if channels == 1 else image
            axes.imshow(pixels, "gray", vmin=0, vmax=255, extent=(0, width, height, 0))
            for box in boxes:
                _frame(axes, box, style[box.kind])
            axes.set(xlim=(0, width), ylim=(height, 0))
            axes.axis("off")
        handles = [Line2D([], [], label=kind, **style[kind]) for kind in self.kinds]
        canvas.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=POINT)
        canvas.suptitle(self.title, fontsize=POINT + 3)


def _frame(axes: Any, box: Box, style: dict[str, Any]) -> None:
    from matplotlib.patches import Rectangle

    x0, y0, x1, y1 = box.corners
    shape = {k: style[k] for k in ("linestyle", "linewidth")}
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=style["color"], **shape))
    if box.label:
        axes.text(
            x0, y0, box.label, fontsize=POINT - 1, va="bottom", clip_on=True, color="white",
            bbox={"facecolor": style["color"], "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
