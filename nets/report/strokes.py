"""Drawings of a pen, as PNG and SVG, and where a model expects the pen."""

import dataclasses
import html
import math
from pathlib import Path
from typing import Any

import numpy as np

from nets.report.figures import POINT, Panel, set_title

_GIVEN = "#999999"


def lines(points: np.ndarray) -> list[np.ndarray]:
    """The strokes [n, 2] of points [N, 3], in positions with y downwards.

    Points are offsets from the point before, and 1 where the pen is lifted after the point.

        >>> [line.tolist() for line in lines(np.array([[1, 2, 0], [3, 0, 1], [1, 1, 1]]))]
        [[[1.0, 2.0], [4.0, 2.0]], [[5.0, 3.0]]]
    """
    places = np.cumsum(np.asarray(points, np.float64)[:, :2], axis=0)
    ends = 1 + np.flatnonzero(np.asarray(points)[:, 2] > 0)
    return [line for line in np.split(places, ends) if len(line)]


@dataclasses.dataclass(frozen=True, eq=False)
class StrokeGrid(Panel):
    """Drawings in a grid, each scaled into its cell, with a caption below.

    Attributes:
        drawings: points [N, 3] each (`lines`).
        captions: one for each drawing.
        columns: drawings in a line.
        given: for each drawing the number of points that the model did not draw, which are grey;
            empty means none.
    """

    drawings: tuple[np.ndarray, ...]
    captions: tuple[str, ...]
    columns: int
    given: tuple[int, ...] = ()

    def size(self) -> tuple[float, float]:
        (width, height), rows = self._cell(), math.ceil(len(self.drawings) / self.columns)
        return max(width * self.columns, 4.0), height * rows + 0.5

    def panel_size(self) -> tuple[float, float]:
        return self.size()

    def plot(self, axes: Any) -> None:
        for line, given in self._placed():
            style = {"color": _GIVEN if given else "black", "solid_capstyle": "round"}
            axes.plot(*line.T, linewidth=1.3, marker="." * (len(line) == 1), markersize=2, **style)
        for text, x, y in self._captions():
            axes.text(x, y, text, ha="center", va="top", fontsize=POINT, color="dimgray")
        width, height = self.size()
        axes.set(xlim=(0, width), ylim=(height - 0.5, 0), aspect="equal")
        axes.axis("off")
        set_title(axes, self.title)

    def write(self, folder: Path, name: str) -> Path:
        """Writes the picture as PNG, and as SVG, each stroke a line of its own."""
        width, height = self.size()
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{96 * width:g}" height="{96 * height:g}">'
            f'<title>{html.escape(self.title)}</title><rect width="100%" height="100%" fill="white"'
            '/><g fill="none" stroke-width="0.02" stroke-linecap="round" stroke-linejoin="round">'
        ]
        for line, given in self._placed():
            line = np.repeat(line, 2, axis=0) if len(line) == 1 else line
            points = " ".join(f"{x:.4g},{y:.4g}" for x, y in line)
            colour = _GIVEN if given else "black"
            parts.append(f'<polyline stroke="{colour}" points="{points}"/>')
        parts.append('</g><g font-family="sans-serif" font-size="0.12" text-anchor="middle">')
        for text, x, y in self._captions():
            parts.append(f'<text x="{x:.4g}" y="{y + 0.12:.4g}">{html.escape(text)}</text>')
        (folder / f"{name}.svg").write_text("\n".join([*parts, "</g></svg>"]))
        return super().write(folder, name)

    def _cell(self) -> tuple[float, float]:
        """Width and height of a cell in inches, in the shape of the middle drawing."""
        strokes = [line for line in map(lines, self.drawings) if line]
        extents = [np.ptp(np.concatenate(line), axis=0) for line in strokes]
        shape = np.median([(w + 1e-9) / (h + 1e-9) for w, h in extents]) if extents else 1.0
        width = min(10.0 / self.columns, max(1.3, 0.8 * float(np.clip(shape, 1, 9))))
        return width, width / float(np.clip(shape, 0.5, 9)) + 0.35

    def _placed(self) -> list[tuple[np.ndarray, bool]]:
        """The strokes in inches from the upper left, and whether they were given."""
        (width, height), placed = self._cell(), []
        for i, points in enumerate(self.drawings):
            strokes = lines(points)
            if not strokes:
                continue
            every = np.concatenate(strokes)
            low, extent = every.min(0), np.ptp(every, axis=0)
            room = np.array([0.9 * width, 0.9 * (height - 0.25)])
            scale = np.min(room / np.maximum(extent, 1e-9))
            corner = np.array([i % self.columns * width, i // self.columns * height])
            corner = corner + [width / 2, (height - 0.25) / 2] - scale * (low + extent / 2)
            start, left = 0, self.given[i] if self.given else 0
            for stroke in strokes:
                line, known = corner + scale * stroke, int(np.clip(left - start, 0, len(stroke)))
                if known:
                    placed.append((line[:known], True))
                if known < len(stroke):
                    placed.append((line[max(known - 1, 0) :], False))
                start += len(stroke)
        return placed

    def _captions(self) -> list[tuple[str, float, float]]:
        width, height = self._cell()
        return [
            (text, (i % self.columns + 0.5) * width, (i // self.columns + 1) * height - 0.23)
            for i, text in enumerate(self.captions)
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class StrokeDensity(Panel):
    """Where a model expects the points of a drawing, as a map, with the drawing.

    Attributes:
        density: [R, C], in any unit, rows from the top.
        limits: left, right, top and bottom of the map, in the drawing's unit.
        drawing: points [N, 3] (`lines`).
    """

    density: np.ndarray
    limits: tuple[float, float, float, float]
    drawing: np.ndarray

    def size(self) -> tuple[float, float]:
        left, right, top, bottom = self.limits
        return 9.0, float(np.clip(8.0 * (bottom - top) / (right - left), 2, 9)) + 0.7

    def plot(self, axes: Any) -> None:
        from matplotlib.colors import PowerNorm

        left, right, top, bottom = self.limits
        norm = PowerNorm(0.35, 0, max(float(np.max(self.density)), 1e-12))
        axes.imshow(self.density, "viridis", norm, extent=(left, right, bottom, top))
        for line in lines(self.drawing):
            axes.plot(*line.T, color="white", linewidth=0.8, marker=".", markersize=2)
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes.axis("off")
        set_title(axes, self.title)
