"""Figures as plain data, which nets.report.draw draws.

A task returns `{name: figure}`; `name` becomes the picture's file name, `title` its heading.
"""

from typing import Any, NamedTuple

import numpy as np


class ImageGrid(NamedTuple):
    """A grid of images [N, H, W, C] (C 1 or 3, any range), one caption under each.

    Attributes:
        columns: images in a line; None makes the grid about as wide as it is high.
        limits: the values drawn black and white; None are the minimum and maximum of all.
        unit: what the values are ("pixel"), which is written beside the limits; None writes
            neither.
    """

    title: str
    images: np.ndarray
    captions: tuple[str, ...]
    columns: int | None = None
    limits: tuple[float, float] | None = None
    unit: str | None = None


class Heatmap(NamedTuple):
    """A table of numbers [R, C] shown in colours, with its labels (a confusion matrix).

    Attributes:
        fixed_range: whether colours go evenly from 0 to 1, and no number is written.
        unit: what the numbers are ("images"), which is written beside the colours.
    """

    title: str
    values: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_label: str
    column_label: str
    fixed_range: bool = False
    unit: str | None = None


class LinePlot(NamedTuple):
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
    """Several charts, tables or grids of images in one picture.

    Attributes:
        columns: panels in a row; None is one row of all.
        same_scale: whether all have the vertical axis of the first, to compare heights.
    """

    title: str
    panels: tuple["LinePlot | ImageGrid | Heatmap", ...]
    columns: int | None = None
    same_scale: bool = False


class Text(NamedTuple):
    """A text that a model wrote."""

    title: str
    text: str


class HighlightedText(NamedTuple):
    """One text [N characters] under K signals [K, N] in [-1, 1], one caption each."""

    title: str
    text: str
    signals: np.ndarray
    captions: tuple[str, ...]


Figure = ImageGrid | Heatmap | LinePlot | Panels | Text | HighlightedText


def stored_pixels(
    images: np.ndarray, metadata: dict[str, Any]
) -> tuple[np.ndarray, dict[str, Any]]:
    """Images [..., C] that a network reads, as the pixels 0 to 255 that they were normalised from.

    Data that does not tell its normalisation (`pixel_scale`, `pixel_offset`) keeps its own values.

    Returns:
        the images, and the fields of `ImageGrid` that tell what their values are.
    """
    if "pixel_scale" not in metadata:
        limits = float(images.min()), float(images.max())
        return images, {"limits": limits, "unit": "network input"}
    pixels = (images - np.array(metadata["pixel_offset"])) / np.array(metadata["pixel_scale"])
    return pixels, {"limits": (0.0, 255.0), "unit": "pixel"}
