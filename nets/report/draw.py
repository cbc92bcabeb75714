"""Figures (nets.report.figures) and learning curves as PNG files, coloured text as HTML too."""

import contextlib
import html
import itertools
import math
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.report.figures import Heatmap, HighlightedText, ImageGrid, LinePlot, Panels
from nets.report.metrics_log import SPLITS

# Okabe and Ito 2008: told apart by colour-blind readers too
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
_LINES = ("-", "--", "-.", ":")
_SPLITS = dict(zip(SPLITS, zip(_COLOURS[:3], _LINES[:3], "osD", strict=True), strict=True))
_POINT = 9  # size of the smallest letters
_COLUMNS = 80  # characters in a line of coloured text


def draw(view: ImageGrid | Heatmap | LinePlot | Panels | HighlightedText, path: Path) -> None:
    """Writes the view as a PNG file."""
    kinds = {ImageGrid: _images, Heatmap: _matrix, LinePlot: _lines}
    kinds |= {Panels: _panels, HighlightedText: _coloured}
    with _saved(path) as figure:
        kinds[type(view)](figure, view)


def curves(histories: list[list[dict[str, Any]]], path: Path) -> None:
    """Writes the learning curves of one or several runs as a PNG file, one panel per metric.

    A history is the rows of a metrics.jsonl. The loss comes first, what there is of training alone
    last. A split has the same colour, line and mark in every
    panel of every run. Left out is what depends on the clock (names in `_s`). A loss that spans
    more than a factor of 20 has a logarithmic axis.
    """
    panels: dict[str, dict[str, dict[int, list]]] = {}  # points by metric, split and run
    for i, history in enumerate(histories):
        for row in history:
            for name, value in row.items():
                if name not in ("step", "split") and not name.endswith("_s"):
                    runs = panels.setdefault(name, {}).setdefault(row["split"], {})
                    runs.setdefault(i, []).append((row["step"], value))
    with _saved(path) as figure:
        rows = math.ceil(len(panels) / 2)
        figure.set_size_inches(11, 3.4 * max(rows, 1))
        order = sorted(panels, key=lambda name: (name != "loss", panels[name].keys() == {"train"}))
        for i, name in enumerate(order):
            splits = panels[name]
            ax = figure.add_subplot(rows, 2, i + 1)
            lines = [
                Curve("" if n else split, *np.array(points, float).T, *_SPLITS[split])
                for split in SPLITS
                for n, points in enumerate(splits.get(split, {}).values())
            ]
            _plot(ax, lines, "step", name.replace("_", " "))


@contextlib.contextmanager
def _saved(path: Path) -> Iterator[Any]:
    """A figure that is saved at the end; the settings hold for it alone."""
    import matplotlib
    from matplotlib.figure import Figure

    settings = {"font.size": _POINT + 1, "text.parse_math": False, "text.hinting": "none"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(layout="constrained")
        yield figure
        figure.savefig(path, dpi=110, format="png", bbox_inches="tight")


def _title(ax, text: str) -> None:
    width = int(ax.figure.get_size_inches()[0] * 9)
    ax.set_title(textwrap.fill(text, width), fontsize=_POINT + 3, pad=10)


def _images(figure, view: ImageGrid) -> None:
    width, height = _grid(figure.add_subplot(), view)
    figure.set_size_inches(max(width, 4), height + 0.4)
    _title(figure.axes[0], view.title)


def _grid(ax, view: ImageGrid) -> tuple[float, float]:
    """Width and height in inches at which the grid's captions have their room."""
    count, height, width, channels = view.images.shape
    captions = [textwrap.wrap(caption, 15)[:3] for caption in view.captions]
    columns = min(count, view.columns or math.ceil(math.sqrt(1.6 * count)))
    rows = math.ceil(count / columns)
    cell = 0.7 if max(map(len, view.captions), default=0) < 6 else 1.2  # inches
    letters = 0.16 * max(map(len, captions), default=0) + 0.08
    step = cell * height / width + letters
    width_all, height_all = columns * cell * 1.08, rows * step + (0.2 if view.unit else 0)
    low, high = view.limits or (float(np.nanmin(view.images)), float(np.nanmax(view.images)))
    shown = np.clip((view.images - low) / (high - low or 1), 0, 1)
    for i, image in enumerate(shown):
        x, y = i % columns * cell * 1.08, i // columns * step
        extent = (x, x + cell, y + cell * height / width, y)
        pixels = image[..., 0] if channels == 1 else image
        ax.imshow(pixels, "gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
        if i < len(captions):
            ax.text(
                x + cell / 2, extent[2] + 0.03, "\n".join(captions[i]),
                ha="center", va="top", fontsize=_POINT,
            )  # fmt: skip
    if view.unit:
        zero = ", grey 0" if low == -high else ""
        scale = f"{view.unit}: black {low:.3g}{zero}, white {high:.3g}"
        ax.text(0, rows * step + 0.05, scale, va="top", fontsize=_POINT, color="dimgray")
    ax.set(xlim=(0, width_all), ylim=(height_all, 0), aspect="equal")
    ax.axis("off")
    return width_all, height_all


def _matrix(figure, view: Heatmap) -> None:
    figure.set_size_inches(*_matrix_size(view))
    _table(figure.add_subplot(), view)


def _matrix_size(view: Heatmap) -> tuple[float, float]:
    """Width and height in inches."""
    rows, columns = view.values.shape
    cell = min(0.28 if view.fixed_range else 0.45, 9.6 / max(rows, columns))
    return max(cell * columns + 2.4, 5), max(cell * rows + (1.2 if view.fixed_range else 1.9), 2.6)


def _table(ax, view: Heatmap) -> None:
    from matplotlib.colors import CenteredNorm, Normalize, PowerNorm

    values = np.asarray(view.values)
    rows, columns = values.shape
    signed = values.min() < 0
    if view.fixed_range:
        norm = Normalize(0, 1)
    else:  # not linear, so that few mistakes are seen beside many right answers
        norm = CenteredNorm() if signed else PowerNorm(0.4, 0, max(values.max(), 1e-12))
    shown = ax.imshow(values, "PuOr" if signed else "viridis", norm, interpolation="nearest")
    ax.figure.colorbar(shown, ax=ax, shrink=0.8, label=view.unit)
    turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    turn = turn if max(map(len, view.columns)) > 2 else {}
    every = [math.ceil(n / 40) for n in values.shape]
    ax.set_yticks(range(0, rows, every[0]), view.rows[:: every[0]])
    ax.set_xticks(range(0, columns, every[1]), view.columns[:: every[1]], **turn)
    ax.set(xlabel=view.column_label, ylabel=view.row_label)
    if max(values.shape) <= 20 and not view.fixed_range:
        whole = np.issubdtype(values.dtype, np.integer)
        for (r, c), value in np.ndenumerate(values):
            light = abs(norm(value) - 0.5) > 0.35 if signed else norm(value) < 0.6
            text = ("" if value == 0 else f"{value}") if whole else f"{value:.2g}"
            color = "white" if light else "black"
            ax.text(c, r, text, ha="center", va="center", color=color, fontsize=_POINT)
    _title(ax, view.title)


def _lines(figure, view: LinePlot) -> None:
    figure.set_size_inches(7, 4.2)
    _chart(figure.add_subplot(), view)


def _panels(figure, view: Panels) -> None:
    columns = view.columns or len(view.panels)
    rows = math.ceil(len(view.panels) / columns)
    sizes = [_matrix_size(p) if isinstance(p, Heatmap) else (5.6, 4.3) for p in view.panels]
    width, height = np.max(sizes, 0)
    figure.set_size_inches(width * columns, height * rows + 0.3)
    figure.suptitle(view.title, fontsize=_POINT + 5, fontweight="bold")
    for i, panel in enumerate(view.panels):
        first = figure.axes[0] if i and view.same_scale else None
        ax = figure.add_subplot(rows, columns, i + 1, sharey=first)
        if isinstance(panel, ImageGrid):
            _grid(ax, panel)
            _title(ax, panel.title)
        elif isinstance(panel, Heatmap):
            _table(ax, panel)
        else:
            _chart(ax, panel)


def _chart(ax, view: LinePlot) -> None:
    if view.mark:
        ax.axvline(view.mark[1], color="dimgray", linestyle=":", label=view.mark[0])
    colours, lines = itertools.cycle(_COLOURS), itertools.cycle(_LINES)
    curves = [
        Curve(name, view.x, y, next(colours), next(lines), "D") for name, y in view.curves.items()
    ]
    _plot(ax, curves, view.x_label, view.y_label)
    if view.log:
        _logarithmic(ax)
    _title(ax, view.title)


class Curve(NamedTuple):
    """Points x [N], y [N]; `mark` is what a single one is drawn as; "" is not in the legend."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: str
    line: str
    mark: str


def _plot(ax, curves: list[Curve], x_label: str, y_label: str) -> None:
    for name, x, y, colour, line, mark in curves:
        style = {"linestyle": line} if len(x) > 1 else {"linestyle": "", "marker": mark}
        ax.plot(x, y, label=name, linewidth=1.5, color=colour, **style)
    values = np.concatenate([np.asarray(curve.y, float) for curve in curves])
    values = values[np.isfinite(values)]
    if "loss" in y_label and values.size and 0 < 20 * values.min() < values.max():
        _logarithmic(ax)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=_POINT)


def _logarithmic(ax) -> None:
    """A vertical axis whose labels are plain numbers."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    narrow = high < 100 * low  # there is hardly a power of ten to label
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(lambda x, _: f"{x:g}" if narrow and f"{x:e}"[0] in "25" else "")


def _colours(signal: np.ndarray) -> np.ndarray:
    """Colours [N, 3] in 0..1 of a signal [N]: blue at -1, white at 0, orange at 1."""
    ends = np.array([[0x56, 0xB4, 0xE9], [0xE6, 0x9F, 0x00]]) / 255  # Okabe and Ito
    signal = np.clip(np.nan_to_num(signal), -1, 1)[:, None]
    return 1 - np.abs(signal) * (1 - np.where(signal < 0, ends[:1], ends[1:]))


def _coloured(figure, view: HighlightedText) -> None:
    """Everything stands in lines of 80 cells, as on a terminal."""
    white = np.ones((_COLUMNS, 3))
    legend = white.copy()
    legend[15:36] = _colours(np.linspace(-1, 1, 21))
    lines = [(part, white, "bold") for part in textwrap.wrap(view.title, _COLUMNS)]
    lines += [("activation: -1" + " " * 23 + "+1", legend, "normal")]
    for caption, signal in zip(view.captions, view.signals, strict=True):
        lines += [("", white, "normal")]
        lines += [(part, white, "bold") for part in textwrap.wrap(caption, _COLUMNS)]
        colours, start = _colours(signal), 0
        for whole in view.text.splitlines(keepends=True):
            for at in range(0, len(whole), _COLUMNS):
                part = whole[at : at + _COLUMNS]
                row = white.copy()
                row[: len(part)] = colours[start + at : start + at + len(part)]
                lines.append((_visible(part), row, "normal"))
            start += len(whole)
    figure.set_size_inches(_COLUMNS * 0.602 * _POINT / 72, len(lines) * 1.35 * _POINT / 72)
    figure.set_layout_engine("none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.axis("off")
    ax.imshow(np.stack([row for _, row, _ in lines]), aspect="auto", interpolation="nearest")
    for i, (text, _, weight) in enumerate(lines):
        font = {"family": "DejaVu Sans Mono", "weight": weight, "fontsize": _POINT}
        ax.text(-0.5, i, text, va="center_baseline", **font)


def _visible(text: str) -> str:
    """One printed character for each: a line's end and a tab as arrows."""
    return "".join({"\n": "↵", "\t": "→"}.get(c, c if c.isprintable() else "·") for c in text)


def coloured_html(view: HighlightedText) -> str:
    """The view as an HTML fragment that needs no style sheet."""
    legend = _spans(" " * 21, np.linspace(-1, 1, 21))
    pre = '<pre style="background:#fff;color:#000;padding:.5em;overflow-x:auto">'
    parts = [f"<p>{html.escape(view.title)}</p>{pre}activation: -1 {legend} +1</pre>"]
    for caption, signal in zip(view.captions, view.signals, strict=True):
        text = _spans(view.text, signal)
        parts.append(f"<p><b>{html.escape(caption)}</b></p>{pre}{text}</pre>")
    return "\n".join(parts)


def _spans(text: str, signal: np.ndarray) -> str:
    """The text with its background in 33 shades, a span for each run of one shade."""
    colours = (_colours(np.round(np.asarray(signal) * 16) / 16) * 255).astype(int)
    runs = itertools.groupby(zip(map(tuple, colours.tolist()), text, strict=True), lambda p: p[0])
    spans = []
    for (r, g, b), run in runs:
        part = html.escape("".join(c for _, c in run)).replace("\n", "↵\n")
        spans.append(f'<span style="background:#{r:02x}{g:02x}{b:02x}">{part}</span>')
    return "".join(spans)
