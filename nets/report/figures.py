"""The protocol of a figure: data that draws itself, as files beside a report.

A task returns `{name: figure}`; `name` becomes the file's name, `title` its heading. A new kind is
one class with `draw`, or `size` and `plot` where it fits into one axes.
"""

import abc
import contextlib
import dataclasses
import math
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

POINT = 9  # size of the smallest letters
# Okabe and Ito 2008: told apart by colour-blind readers too
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")


@dataclasses.dataclass(frozen=True, eq=False)
class Figure(abc.ABC):
    """A figure with its heading.

    Attributes:
        title: the heading.
    """

    title: str

    @abc.abstractmethod
    def write(self, folder: Path, name: str) -> Path:
        """Writes the figure as files of this name; the path of the first."""


@dataclasses.dataclass(frozen=True, eq=False)
class Text(Figure):
    """A text, such as the output of a model."""

    text: str

    def write(self, folder: Path, name: str) -> Path:
        path = folder / f"{name}.txt"
        path.write_text(self.text)
        return path


@dataclasses.dataclass(frozen=True, eq=False)
class Picture(Figure):
    """A figure that is written as a PNG file."""

    @abc.abstractmethod
    def draw(self, canvas: Any) -> None:
        """Draws on an empty `matplotlib.figure.Figure` and sets its size."""

    def write(self, folder: Path, name: str) -> Path:
        path = folder / f"{name}.png"
        with saved(path) as canvas:
            self.draw(canvas)
        return path


@dataclasses.dataclass(frozen=True, eq=False)
class Panel(Picture):
    """A picture that fits into one axes, alone or beside others."""

    @abc.abstractmethod
    def plot(self, axes: Any) -> None:
        """Draws into axes, with the title."""

    @abc.abstractmethod
    def size(self) -> tuple[float, float]:
        """Width and height in inches when it stands alone."""

    def panel_size(self) -> tuple[float, float]:
        """Width and height in inches beside others."""
        return 5.6, 4.3

    def draw(self, canvas: Any) -> None:
        canvas.set_size_inches(*self.size())
        self.plot(canvas.add_subplot())


@dataclasses.dataclass(frozen=True, eq=False)
class Panels(Picture):
    """Several panels in one picture.

    Attributes:
        columns: panels in a row; None means one row of all.
        same_scale: whether all have the vertical axis of the first, to compare heights.
    """

    panels: tuple[Panel, ...]
    columns: int | None = None
    same_scale: bool = False

    def draw(self, canvas: Any) -> None:
        columns = self.columns or len(self.panels)
        rows = math.ceil(len(self.panels) / columns)
        width, height = np.max([panel.panel_size() for panel in self.panels], 0)
        canvas.set_size_inches(width * columns, height * rows + 0.3)
        canvas.suptitle(self.title, fontsize=POINT + 5, fontweight="bold")
        for i, panel in enumerate(self.panels):
            first = canvas.axes[0] if i and self.same_scale else None
            panel.plot(canvas.add_subplot(rows, columns, i + 1, sharey=first))


@contextlib.contextmanager
def saved(path: Path) -> Iterator[Any]:
    """An empty `matplotlib.figure.Figure` that is saved at the end, with our settings."""
    import matplotlib.figure

    settings = {"font.size": POINT + 1, "text.parse_math": False, "text.hinting": "none"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        canvas = matplotlib.figure.Figure(layout="constrained")
        yield canvas
        canvas.savefig(path, dpi=110, format="png", bbox_inches="tight")


def set_title(axes: Any, text: str) -> None:
    """The title of axes, wrapped to the width of the picture."""
    width = int(axes.figure.get_size_inches()[0] * 9)
    axes.set_title(textwrap.fill(text, width), fontsize=POINT + 3, pad=10)


def stored_pixels(
    images: np.ndarray, metadata: dict[str, Any]
) -> tuple[np.ndarray, dict[str, Any]]:
    """Images [..., C] as a network reads them, turned back into pixels of 0 to 255.

    Data that does not tell its normalisation (`pixel_scale`, `pixel_offset`) keeps its own values.

    Returns:
        the images, and the fields of `ImageGrid` that tell what their values are.
    """
    if "pixel_scale" not in metadata:
        limits = float(images.min()), float(images.max())
        return images, {"limits": limits, "unit": "network input"}
    pixels = (images - np.array(metadata["pixel_offset"])) / np.array(metadata["pixel_scale"])
    return pixels, {"limits": (0.0, 255.0), "unit": "pixel"}
