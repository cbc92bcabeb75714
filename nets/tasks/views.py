"""What a task finds worth looking at, as plain data; the engine draws it.

A task hands out `{name: view}`; `name` becomes the picture's file name, `title` its heading.
"""

from typing import NamedTuple

import numpy as np


class Images(NamedTuple):
    """A grid of images [N, H, W, C] (C 1 or 3, any range), one caption under each.

    `columns` are the images in a line; none makes the grid about as wide as it is high.
    """

    title: str
    images: np.ndarray
    captions: tuple[str, ...]
    columns: int | None = None


class Matrix(NamedTuple):
    """A table of numbers [R, C] shown in colours, with its labels (a confusion matrix).

    Where they are `shares`, colours go evenly from 0 to 1, and no numbers are written.
    """

    title: str
    values: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_label: str
    column_label: str
    shares: bool = False


class Lines(NamedTuple):
    """Curves over one horizontal axis [N]; each curve [N] by its name in the legend.

    `log` gives the vertical axis a logarithmic scale; `mark`, a name and a place, a vertical line.
    """

    title: str
    x: np.ndarray
    curves: dict[str, np.ndarray]
    x_label: str
    y_label: str
    log: bool = False
    mark: tuple[str, float] | None = None


class Panels(NamedTuple):
    """Several charts, tables or grids of images in one picture, in rows of `columns`.

    None is one row of all.
    """

    title: str
    panels: tuple["Lines | Images | Matrix", ...]
    columns: int | None = None


class Text(NamedTuple):
    """A text that a model wrote."""

    title: str
    text: str


class ColouredText(NamedTuple):
    """One text [N characters] under K signals [K, N] in [-1, 1], one caption each."""

    title: str
    text: str
    signals: np.ndarray
    captions: tuple[str, ...]


View = Images | Matrix | Lines | Panels | Text | ColouredText
