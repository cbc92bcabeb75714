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
        limits: values drawn black and white, which stand beside it.
        names: of the C entries; an empty one is not written. Empty means none.
    """

    label: str
    values: np.ndarray
    limits: tuple[float, float] = (0.0, 1.0)
    names: tuple[str, ...] = ()

    def height(self) -> float:
        """In inches."""
        each = 0.18 if self.names and all(self.names) else 0.07
        return float(np.clip(each * self.values.shape[1], 0.35, 2.4))


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
            named = [i for i, name in enumerate(part.names) if name]
            axes.set_yticks(
                [i + 0.5 for i in named], [part.names[i] for i in named], fontsize=POINT
            )
            axes.tick_params(axis="y", length=0)
            axes.text(
                1.01, 0.5, f"white {high:.3g}\nblack {low:.3g}", va="center", fontsize=POINT,
                transform=axes.transAxes,
            )  # fmt: skip
            if i == 0:
                set_title(axes, self.title)
            if i + 1 < len(self.maps):
                axes.set_xticks([])
            elif self.names is None:
                axes.set_xlabel("step")
            else:
                axes.set_xticks(np.arange(steps) + 0.5, self.names, fontsize=POINT + 1)
                axes.tick_params(axis="x", length=0)
