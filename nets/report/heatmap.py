"""A table of numbers in colours."""

import dataclasses
import math
from typing import Any

import numpy as np

from nets.report.figures import POINT, Panel, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class Heatmap(Panel):
    """A table of numbers [R, C] shown in colours, with its labels (a confusion matrix).

    Attributes:
        fixed_range: whether colours go evenly from 0 to 1, and no number is written.
        unit: what the numbers are ("images"), which is written beside the colours.
        square: whether the cells are squares, or else fill the room.
    """

    values: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_label: str
    column_label: str
    fixed_range: bool = False
    unit: str | None = None
    square: bool = True

    def size(self) -> tuple[float, float]:
        rows, columns = self.values.shape
        cell = min(0.28 if self.fixed_range else 0.45, 9.6 / max(rows, columns))
        height = cell * rows + (1.2 if self.fixed_range else 1.9)
        return max(cell * columns + 2.4, 5), max(height, 2.6)

    def panel_size(self) -> tuple[float, float]:
        return self.size()

    def plot(self, axes: Any) -> None:
        from matplotlib.colors import CenteredNorm, Normalize, PowerNorm

        values = np.asarray(self.values)
        rows, columns = values.shape
        signed = values.min() < 0
        if self.fixed_range:
            norm = Normalize(0, 1)
        else:  # not linear, so that few mistakes are seen beside many right answers
            norm = CenteredNorm() if signed else PowerNorm(0.4, 0, max(values.max(), 1e-12))
        mesh = axes.imshow(
            values, "PuOr" if signed else "viridis", norm, interpolation="nearest",
            aspect="equal" if self.square else "auto",
        )  # fmt: skip
        axes.figure.colorbar(mesh, ax=axes, shrink=0.8, label=self.unit)
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        turn = turn if max(map(len, self.columns)) > 2 else {}
        every = [math.ceil(n / 40) for n in values.shape]
        axes.set_yticks(range(0, rows, every[0]), self.rows[:: every[0]])
        axes.set_xticks(range(0, columns, every[1]), self.columns[:: every[1]], **turn)
        axes.set(xlabel=self.column_label, ylabel=self.row_label)
        if max(values.shape) <= 20 and not self.fixed_range:
            whole_numbers = np.issubdtype(values.dtype, np.integer)
            for (r, c), value in np.ndenumerate(values):
                light = abs(norm(value) - 0.5) > 0.35 if signed else norm(value) < 0.6
                text = ("" if value == 0 else f"{value}") if whole_numbers else f"{value:.2g}"
                color = "white" if light else "black"
                axes.text(c, r, text, ha="center", va="center", color=color, fontsize=POINT)
        set_title(axes, self.title)
