"""Points of several classes in the plane."""

import dataclasses
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, POINT, Panel, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class ScatterPlot(Panel):
    """Points [N, 2], each drawn as the number of its class.

    Attributes:
        classes: of each point, [N], from 0.
        names: of the classes; the legend tells them unless they are the numbers themselves.
    """

    points: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    x_label: str
    y_label: str

    def size(self) -> tuple[float, float]:
        return 7, 5.6

    def plot(self, axes: Any) -> None:
        from matplotlib.path import Path
        from matplotlib.textpath import TextPath

        for i, name in enumerate(self.names):
            x, y = self.points[self.classes == i].T
            colour = COLOURS[i % len(COLOURS)]
            letters = TextPath((0, 0), str(i), size=POINT)
            middle = letters.get_extents().get_points().mean(0)
            marker = Path(letters.vertices - middle, letters.codes)
            axes.scatter(x, y, 55, colour, marker=marker, linewidths=0.3, label=name)
        if any(name != str(i) for i, name in enumerate(self.names)):
            axes.legend(fontsize=POINT)
        axes.set(xlabel=self.x_label, ylabel=self.y_label)
        axes.grid(alpha=0.3)
        set_title(axes, self.title)
