"""An image with marked points."""

import dataclasses
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, POINT, Panel, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class MarkedImage(Panel):
    """An image [H, W], in grey.

    Attributes:
        limits: the values drawn black and white. None means its minimum and maximum.
        marks: name, row and column of each point that is circled.
        note: a text of fixed width below the image.
    """

    image: np.ndarray
    limits: tuple[float, float] | None = None
    marks: tuple[tuple[str, float, float], ...] = ()
    note: str = ""

    def size(self) -> tuple[float, float]:
        return 3.4, 3.6 + 0.2 * (self.note.count("\n") + bool(self.note))

    def panel_size(self) -> tuple[float, float]:
        return self.size()

    def plot(self, axes: Any) -> None:
        low, high = self.limits or (float(self.image.min()), float(self.image.max()))
        axes.imshow(self.image, "gray", vmin=low, vmax=high, interpolation="nearest")
        for (name, row, column), colour, marker, side in zip(
            self.marks, COLOURS[1::2], "os^", (16, 11, 7), strict=False
        ):
            style = {"marker": marker, "markersize": side, "markeredgewidth": 2}
            axes.plot(
                column, row, linestyle="", fillstyle="none", color=colour, label=name, **style
            )
        if self.marks:
            axes.legend(fontsize=POINT, loc="upper left", bbox_to_anchor=(0, -0.02))
        axes.set(xticks=(), yticks=(), aspect="equal")
        if self.note:
            axes.set_xlabel(self.note, fontsize=POINT + 1, family="monospace")
        set_title(axes, self.title)
