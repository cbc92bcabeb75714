"""Images in rows, with a text beside each row."""

import dataclasses
import math
import textwrap
from typing import Any

import numpy as np

from nets.report.figures import POINT, Panel, set_title

_CELL = 1.3  # inches of an image's width
_TEXT = 2.2  # inches of a text
_WRAP = 30  # characters in a line of a text


@dataclasses.dataclass(frozen=True, eq=False)
class CaptionedRows(Panel):
    """Rows of images [R, C, H, W, 3] (0 to 1), with what is said of each row to their right.

    Attributes:
        headings: one for each of the C images, above all rows.
        captions: one for each row; every line is wrapped by itself.
        columns: rows that stand beside each other.
    """

    images: np.ndarray
    headings: tuple[str, ...]
    captions: tuple[str, ...]
    columns: int = 2

    def size(self) -> tuple[float, float]:
        width, height, columns, lines = self._layout()
        return max(width * columns, 4.0), height * lines + 0.7

    def _layout(self) -> tuple[float, float, int, int]:
        """Width and height in inches of a row with its text; columns and lines of rows."""
        rows, count, height, width, _ = self.images.shape
        columns = min(self.columns, rows)
        tall = _CELL * height / width
        text = 0.17 * max(len(self._lines(caption)) for caption in self.captions)
        return (
            count * 1.06 * _CELL + _TEXT,
            max(tall, text) + 0.12,
            columns,
            math.ceil(rows / columns),
        )

    def _lines(self, caption: str) -> list[str]:
        return [part for line in caption.split("\n") for part in textwrap.wrap(line, _WRAP)]

    def plot(self, axes: Any) -> None:
        width, height, columns, lines = self._layout()
        tall = _CELL * self.images.shape[2] / self.images.shape[3]
        for i, (row, caption) in enumerate(zip(self.images, self.captions, strict=True)):
            left, top = i % columns * width, i // columns * height
            for k, image in enumerate(np.clip(row, 0, 1)):
                x = left + k * 1.06 * _CELL
                extent = (x, x + _CELL, top + tall, top)
                axes.imshow(image, extent=extent, interpolation="nearest")
                if i < columns:
                    axes.text(
                        x + _CELL / 2, -0.06, self.headings[k], ha="center", va="bottom",
                        fontsize=POINT,
                    )  # fmt: skip
            x = left + len(row) * 1.06 * _CELL + 0.03
            axes.text(x, top, "\n".join(self._lines(caption)), va="top", fontsize=POINT)
        axes.set(xlim=(0, width * columns), ylim=(height * lines, -0.3), aspect="equal")
        axes.axis("off")
        set_title(axes, self.title)
