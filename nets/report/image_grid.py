"""Images in a grid."""

import dataclasses
import math
import textwrap
from typing import Any

import numpy as np

from nets.report.figures import POINT, Panel, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class ImageGrid(Panel):
    """A grid of images [N, H, W, C] (C 1 or 3, any range), one caption under each.

    Attributes:
        columns: images in a line; None makes the grid about as wide as it is high.
        limits: the values drawn black and white; None means the minimum and maximum of all.
        unit: what the values are ("pixel"), which is written beside the limits; None writes
            neither.
    """

    images: np.ndarray
    captions: tuple[str, ...]
    columns: int | None = None
    limits: tuple[float, float] | None = None
    unit: str | None = None

    def size(self) -> tuple[float, float]:
        _, _, _, (width, height) = self._layout()
        return max(width, 4), height + 0.4

    def _layout(self) -> tuple[list[list[str]], int, tuple[float, float], tuple[float, float]]:
        """Captions in lines; columns; the size of a cell and its distance to the next below; the
        size of all; in inches, with room for the captions."""
        count, height, width, _ = self.images.shape
        captions = [textwrap.wrap(caption, 15)[:3] for caption in self.captions]
        columns = min(count, self.columns or math.ceil(math.sqrt(1.6 * count)))
        rows = math.ceil(count / columns)
        cell = 0.7 if max(map(len, self.captions), default=0) < 6 else 1.2
        step = cell * height / width + 0.16 * max(map(len, captions), default=0) + 0.08
        size = columns * cell * 1.08, rows * step + (0.2 if self.unit else 0)
        return captions, columns, (cell, step), size

    def plot(self, axes: Any) -> None:
        _, height, width, channels = self.images.shape
        captions, columns, (cell, step), size = self._layout()
        low, high = self.limits or (float(np.nanmin(self.images)), float(np.nanmax(self.images)))
        shades = np.clip((self.images - low) / (high - low or 1), 0, 1)
        for i, image in enumerate(shades):
            x, y = i % columns * cell * 1.08, i // columns * step
            extent = (x, x + cell, y + cell * height / width, y)
            pixels = image[..., 0] if channels == 1 else image
            axes.imshow(pixels, "gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
            if i < len(captions):
                axes.text(
                    x + cell / 2, extent[2] + 0.03, "\n".join(captions[i]),
                    ha="center", va="top", fontsize=POINT,
                )  # fmt: skip
        if self.unit:
            zero = ", grey 0" if low == -high else ""
            scale = f"{self.unit}: black {low:.3g}{zero}, white {high:.3g}"
            below = math.ceil(len(self.images) / columns) * step
            axes.text(0, below + 0.05, scale, va="top", fontsize=POINT, color="dimgray")
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0), aspect="equal")
        axes.axis("off")
        set_title(axes, self.title)
