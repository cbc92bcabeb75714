"""Several signals over the same steps, one below the other, as grey pixels."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from nets.report.figures import POINT, Picture, set_title


class TimeMap(NamedTuple):
    """One signal.

    Attributes:
        label: what it is.
        values: [T, C].
        limits: values drawn black and white.
        rows: names of the C entries. Empty means that they are not told apart.
    """

    label: str
    values: np.ndarray
    limits: tuple[float, float] = (0.0, 1.0)
    rows: tuple[str, ...] = ()

    def height(self) -> float:
        """In inches."""
        return float(np.clip((0.18 if self.rows else 0.07) * self.values.shape[1], 0.35, 2.4))


@dataclasses.dataclass(frozen=True, eq=False)
class TimeMaps(Picture):
    """Signals [T, C] each, time from left to right, entry 0 at the top.

    Attributes:
        maps: the signals.
        names: names of the steps, below them. None means that steps are numbered.
    """

    maps: tuple[TimeMap, ...]
    names: tuple[str, ...] | None = None

    def draw(self, canvas: Any) -> None:
        steps = max(len(part.values) for part in self.maps)
        heights = [part.height() for part in self.maps]
        canvas.set_size_inches(float(np.clip(0.1 * steps + 1.6, 5, 14)), sum(heights) + 1.2)
        grid = canvas.add_gridspec(len(self.maps), 1, height_ratios=heights)
        for i, part in enumerate(self.maps):
            axes = canvas.add_subplot(grid[i])
            low, high = part.limits
            axes.imshow(
                part.values.T, "gray", vmin=low, vmax=high, aspect="auto", interpolation="nearest",
                extent=(0, len(part.values), part.values.shape[1], 0),
            )  # fmt: skip
            axes.set_xlim(0, steps)
            axes.set_ylabel(part.label, rotation=0, ha="right", va="center", fontsize=POINT + 1)
            axes.set_yticks(np.arange(len(part.rows)) + 0.5, part.rows, fontsize=POINT)
            axes.tick_params(axis="y", length=0)
            if i == 0:
                set_title(axes, self.title)
            if i + 1 < len(self.maps):
                axes.set_xticks([])
            elif self.names is None:
                axes.set_xlabel("step")
            else:
                axes.set_xticks(np.arange(steps) + 0.5, self.names, fontsize=POINT + 1)
                axes.tick_params(axis="x", length=0)
