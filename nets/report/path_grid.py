"""Images with the way that something took over them."""

import dataclasses
import math
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, POINT, Panel, set_title

_COLUMNS = 4
_EDGE = 0.03  # of an image's side, within which no point is drawn


@dataclasses.dataclass(frozen=True, eq=False)
class PathGrid(Panel):
    """A grid of images [N, H, W, C] (pixels of 0 to 255, C 1 or 3), each with a path over it.

    Attributes:
        paths: x and y [N, T, 2] of its points in pixels, numbered from 1; one outside of the image
            is drawn at its edge.
        sides: sides in pixels of the squares that are drawn around its last point; empty means
            none.
        captions: one for each image, above it.
    """

    images: np.ndarray
    paths: np.ndarray
    sides: tuple[float, ...]
    captions: tuple[str, ...]

    def size(self) -> tuple[float, float]:
        columns = min(_COLUMNS, len(self.images))
        return max(2.4 * columns, 4.0), 2.7 * math.ceil(len(self.images) / columns) + 0.5

    def plot(self, axes: Any) -> None:
        height, width = self.images.shape[1:3]
        columns = min(_COLUMNS, len(self.images))
        step_x, step_y = 1.06 * width, 1.15 * height
        for i, (image, path, caption) in enumerate(
            zip(self.images, self.paths, self.captions, strict=True)
        ):
            left, top = i % columns * step_x, i // columns * step_y
            pixels = np.clip(image, 0, 255).astype(np.uint8)
            axes.imshow(
                pixels[..., 0] if pixels.shape[-1] == 1 else pixels, "gray", vmin=0, vmax=255,
                extent=(left, left + width, top + height, top), interpolation="nearest",
            )  # fmt: skip
            axes.text(left + width / 2, top - 0.02 * height, caption, ha="center", fontsize=POINT)
            self._way(axes, path + (left, top), (left, top, width, height))
        axes.set(xlim=(0, columns * step_x), aspect="equal")
        axes.set_ylim(math.ceil(len(self.images) / columns) * step_y, -0.12 * height)
        axes.axis("off")
        set_title(axes, self.title)

    def _way(self, axes: Any, path: np.ndarray, image: tuple[float, ...]) -> None:
        """Draws a path over the image at (left, top, width, height)."""
        from matplotlib.patches import Rectangle

        left, top, width, height = image
        low, size = np.array([left, top]), np.array([width, height])
        last_point, path = path[-1], np.clip(path, low + _EDGE * size, low + (1 - _EDGE) * size)
        axes.plot(*path.T, color=COLOURS[1], linewidth=1.4)
        for number, (x, y) in enumerate(path, 1):
            last = number == len(path)
            axes.plot(
                x, y, "o", markersize=11, markeredgecolor="white", markeredgewidth=0.6,
                color=COLOURS[3] if last else COLOURS[0],
            )  # fmt: skip
            axes.text(
                x, y, str(number), ha="center", va="center_baseline", fontsize=POINT,
                color="white",
            )  # fmt: skip
        for side in self.sides:
            corner = last_point - side / 2
            frame = Rectangle(corner, side, side, fill=False, ec=COLOURS[3], linewidth=1.2)
            axes.add_patch(frame)
            frame.set_clip_path(Rectangle((left, top), width, height, transform=axes.transData))
