"""Bars of numbers."""

import dataclasses
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, POINT, Panel, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class BarChart(Panel):
    """A horizontal bar for each number [N], with its name and the number.

    Attributes:
        names: of the bars, from the top.
        values: from 0 on; nan is written as "none".
        label: of the axis of the numbers.
        limit: the end of that axis. None means the maximum.
        mark: name and value of a dashed line, such as the mean.
        colours: R, G, B of each bar, 0 to 255. None means all alike.
    """

    names: tuple[str, ...]
    values: np.ndarray
    label: str
    limit: float | None = None
    mark: tuple[str, float] | None = None
    colours: tuple[tuple[int, int, int], ...] | None = None

    def size(self) -> tuple[float, float]:
        return 6.0, 1.5 + 0.27 * len(self.names)

    def plot(self, axes: Any) -> None:
        heights, values = np.arange(len(self.names)), np.nan_to_num(self.values)
        colours = COLOURS[0]
        if self.colours is not None:
            colours = [tuple(v / 255 for v in colour) for colour in self.colours]
        bars = axes.barh(heights, values, color=colours, edgecolor="dimgray", linewidth=0.5)
        texts = ["none" if np.isnan(value) else f"{value:.3f}" for value in self.values]
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axes.bar_label(bars, texts, padding=4, fontsize=POINT, bbox=ground, zorder=3)
        axes.set_yticks(heights, self.names)
        axes.set(xlabel=self.label, ylim=(len(self.names) - 0.4, -0.6))
        top = self.limit or max(values.max(), 1e-12)
        axes.set_xlim(0, 1.12 * top)  # room for the numbers
        axes.set_xticks([tick for tick in axes.get_xticks() if tick <= top + 1e-9])
        if self.mark is not None:
            name, value = self.mark
            axes.axvline(
                value, color="black", linestyle="--", linewidth=1.2, label=f"{name} {value:.3f}"
            )
            axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), fontsize=POINT, frameon=False)
        set_title(axes, self.title)
