"""An image beside the scores of some classes."""

import dataclasses
import textwrap
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, POINT, Picture

_SIDE = 3.6  # inches of the image's longer side


@dataclasses.dataclass(frozen=True, eq=False)
class ClassScores(Picture):
    """An image [H, W, C] (uint8, C 1, 3 or 4) beside bars for the scores of some classes.

    Attributes:
        read: corners x0, y0, x1, y1 in pixels of the part of the image that the network reads.
        names: of the classes, from top to bottom.
        scores: of the classes.
        unit: what the scores are.
    """

    image: np.ndarray
    read: tuple[float, float, float, float]
    names: tuple[str, ...]
    scores: tuple[float, ...]
    unit: str

    def draw(self, canvas: Any) -> None:
        height, width, channels = self.image.shape
        canvas.set_size_inches(2 * _SIDE + 0.6, _SIDE + 0.5)
        image, bars = canvas.subplots(1, 2)
        pixels = self.image[..., 0] if channels == 1 else self.image
        image.imshow(pixels, "gray", vmin=0, vmax=255, extent=(0, width, height, 0))
        image.axis("off")
        x0, y0, x1, y1 = self.read
        if x0 > 0.5 or y0 > 0.5 or x1 < width - 0.5 or y1 < height - 0.5:
            style = {"color": COLOURS[1], "linewidth": 2, "linestyle": "--"}
            image.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], **style, clip_on=False)
            image.set_title("framed: what the network reads", fontsize=POINT, color="dimgray")
        rows = np.arange(len(self.names))
        bars.barh(rows, self.scores, color=COLOURS[0], height=0.6)
        for row, score in zip(rows, self.scores, strict=True):
            text = f" {score:.3f}" if score >= 0 else f"{score:.3f} "
            side = "left" if score >= 0 else "right"
            bars.text(score, row, text, va="center", ha=side, fontsize=POINT)
        labels = [textwrap.fill(textwrap.shorten(name, 60, placeholder="..."), 24)
                  for name in self.names]  # fmt: skip
        bars.set_yticks(rows, labels)
        bars.invert_yaxis()
        bars.margins(x=0.2)
        if self.unit == "probability":
            bars.set_xlim(0, 1.2)
            bars.set_xticks(np.linspace(0, 1, 6))
        bars.set_xlabel(self.unit)
        bars.spines[["top", "right"]].set_visible(False)
        canvas.suptitle(textwrap.shorten(self.title, 80, placeholder="..."), fontsize=POINT + 4)
