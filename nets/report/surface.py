"""A function over the plane."""

import dataclasses
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, Panel, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class Surface(Panel):
    """A function over the plane in colours, with its contour at the middle of the range.

    Attributes:
        values: [R, R], of `extent` by rows from the lowest y up.
        extent: coordinates of the left and right, and of the lower and upper edge.
        limits: the values drawn blue and orange.
        points: [N, 2] (x, y), drawn in the colour of their class. None means no points.
        classes: [N], 0 (blue) or 1 (orange).
    """

    values: np.ndarray
    extent: tuple[float, float]
    limits: tuple[float, float] = (0.0, 1.0)
    points: np.ndarray | None = None
    classes: np.ndarray | None = None

    def size(self) -> tuple[float, float]:
        return 4.2, 4.0

    def panel_size(self) -> tuple[float, float]:
        return 2.6, 2.8

    def plot(self, axes: Any) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        colours = LinearSegmentedColormap.from_list("classes", (COLOURS[0], "white", COLOURS[1]))
        low, high = self.limits
        edges = (*self.extent, *self.extent)
        axes.imshow(self.values, colours, vmin=low, vmax=high, extent=edges, origin="lower")
        middle = (low + high) / 2
        if self.values.min() < middle < self.values.max():
            axes.contour(self.values, [middle], extent=edges, colors="black", linewidths=1)
        if self.points is not None:
            for k, mark in enumerate("os"):
                x, y = self.points[self.classes == k].T
                axes.scatter(x, y, 14, COLOURS[k], marker=mark, edgecolors="white", linewidths=0.5)
        axes.set(xlim=self.extent, ylim=self.extent, aspect="equal")
        set_title(axes, self.title)
