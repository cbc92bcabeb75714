"""Curves over one axis, and the learning curves of runs."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.report.figures import COLOURS, LINES, POINT, Panel, saved, set_title
from nets.report.metrics_log import SPLITS

_SPLITS = dict(zip(SPLITS, zip(COLOURS[:4], LINES, "osD^", strict=True), strict=True))


@dataclasses.dataclass(frozen=True, eq=False)
class LinePlot(Panel):
    """Curves over one horizontal axis [N]; each curve [N] by its name in the legend.

    Attributes:
        log: whether the vertical axis has a logarithmic scale.
        mark: name and position of a vertical line. None means no line.
        log_x: whether the horizontal axis has a logarithmic scale.
    """

    x: np.ndarray
    curves: dict[str, np.ndarray]
    x_label: str
    y_label: str
    log: bool = False
    mark: tuple[str, float] | None = None
    log_x: bool = False

    def size(self) -> tuple[float, float]:
        return 7, 4.2

    def plot(self, axes: Any) -> None:
        if self.mark:
            axes.axvline(self.mark[1], color="dimgray", linestyle=":", label=self.mark[0])
        styles = zip(itertools.cycle(COLOURS), itertools.cycle(LINES), strict=False)
        curves = [
            Curve(name, self.x, y, *style, "D")
            for (name, y), style in zip(self.curves.items(), styles, strict=False)
        ]
        _plot(axes, curves, self.x_label, self.y_label)
        if np.issubdtype(self.x.dtype, np.integer):
            axes.locator_params(axis="x", integer=True)
        if self.log:
            _logarithmic(axes)
        if self.log_x:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        set_title(axes, self.title)


def learning_curves(histories: list[list[dict[str, Any]]], path: Path) -> None:
    """Writes the learning curves of one or several runs as a PNG file, one panel per metric.

    A history is the rows of a metrics.jsonl. The loss comes first, metrics of training alone last.
    A split has the same colour, line and mark in every panel of every run. Metrics that depend on
    the clock (names in `_s`) are left out, and those of the closing evaluation alone, such as the
    scores of classes, unless there are no others. A loss that spans more than a factor of 20 has a
    logarithmic axis.
    """
    panels: dict[str, dict[str, dict[int, list]]] = {}  # points by metric, split and run
    for i, history in enumerate(histories):
        for row in history:
            for name, value in row.items():
                if name not in ("step", "split") and not name.endswith("_s"):
                    runs = panels.setdefault(name, {}).setdefault(row["split"], {})
                    runs.setdefault(i, []).append((row["step"], value))
    panels = {k: splits for k, splits in panels.items() if splits.keys() != {"test"}} or panels
    with saved(path) as canvas:
        rows = math.ceil(len(panels) / 2)
        canvas.set_size_inches(11, 3.4 * max(rows, 1))
        order = sorted(panels, key=lambda name: (name != "loss", panels[name].keys() == {"train"}))
        for i, name in enumerate(order):
            splits = panels[name]
            axes = canvas.add_subplot(rows, 2, i + 1)
            lines = [
                Curve("" if n else split, *np.array(points, float).T, *_SPLITS[split])
                for split in SPLITS
                for n, points in enumerate(splits.get(split, {}).values())
            ]
            _plot(axes, lines, "step", name.replace("_", " "))


class Curve(NamedTuple):
    """Points x [N], y [N]; `mark` is what a single one is drawn as; "" is not in the legend."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: str
    line: str
    mark: str


def _plot(axes: Any, curves: list[Curve], x_label: str, y_label: str) -> None:
    for name, x, y, colour, line, mark in curves:
        style = {"linestyle": line} if len(x) > 1 else {"linestyle": "", "marker": mark}
        axes.plot(x, y, label=name, linewidth=1.5, color=colour, **style)
    values = np.concatenate([np.asarray(curve.y, float) for curve in curves])
    values = values[np.isfinite(values)]
    if "loss" in y_label and values.size and 0 < 20 * values.min() < values.max():
        _logarithmic(axes)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=POINT)


def _logarithmic(axes: Any) -> None:
    """A vertical axis whose labels are plain numbers."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    # with hardly a power of ten to label, other digits are too
    digits = "123456789" if high < 10 * low else "25" if high < 100 * low else ""
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in digits else "")
