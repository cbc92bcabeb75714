"""One result of several runs over another: what an advantage costs."""

import dataclasses
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, POINT, Panel, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class Tradeoff(Panel):
    """A point for each name, x [N] and y [N], joined from left to right.

    Attributes:
        names: of the points.
        log_x: whether the horizontal axis has a logarithmic scale.
    """

    names: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    x_label: str
    y_label: str
    log_x: bool = False

    def size(self) -> tuple[float, float]:
        return 7, 4.2

    def plot(self, axes: Any) -> None:
        order = np.argsort(self.x, kind="stable")
        axes.plot(np.asarray(self.x)[order], np.asarray(self.y)[order], "o-", color=COLOURS[0])
        middle = (np.min(self.x) + np.max(self.x)) / 2
        for name, x, y in zip(self.names, self.x, self.y, strict=True):
            side, shift = ("left", 7) if x <= middle else ("right", -7)  # towards the middle
            style = {"ha": side, "fontsize": POINT, "bbox": {"fc": "white", "ec": "none", "pad": 1}}
            axes.annotate(name, (x, y), (shift, 7), textcoords="offset points", **style)
        if self.log_x:
            axes.set_xscale("log")
        axes.set(xlabel=self.x_label, ylabel=self.y_label)
        axes.set_ylim(0, 1.15 * max(np.max(self.y), 1e-12))
        axes.margins(x=0.15)
        axes.grid(alpha=0.3)
        set_title(axes, self.title)
