"""A text whose background shows a signal."""

import dataclasses
import html
import itertools
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from nets.report.figures import POINT, Picture

_COLUMNS = 80  # characters in a line


@dataclasses.dataclass(frozen=True, eq=False)
class HighlightedText(Picture):
    """One text [N characters] under K signals [K, N] in [-1, 1], one caption each.

    It is written as a PNG file and as an HTML fragment that needs no style sheet.

    Attributes:
        label: what a signal is.
        signed: whether signals may be negative.
        line_ends: whether the ends of lines are drawn.
    """

    text: str
    signals: np.ndarray
    captions: tuple[str, ...]
    label: str = "activation"
    signed: bool = True
    line_ends: bool = True

    def write(self, folder: Path, name: str) -> Path:
        (folder / f"{name}.html").write_text(self.to_html())
        return super().write(folder, name)

    def draw(self, canvas: Any) -> None:
        """Everything stands in lines of 80 cells, as on a terminal."""
        white = np.ones((_COLUMNS, 3))
        legend, before = white.copy(), self._before_legend()
        legend[len(before) + 1 : len(before) + 22] = _colours(self._legend())
        lines = [(part, white, "bold") for part in textwrap.wrap(self.title, _COLUMNS)]
        lines += [(before + " " * 23 + self._after_legend(), legend, "normal")]
        for caption, signal in zip(self.captions, self.signals, strict=True):
            lines += [("", white, "normal")]
            lines += [(part, white, "bold") for part in textwrap.wrap(caption, _COLUMNS)]
            colours, start = _colours(signal), 0
            for whole in self.text.splitlines(keepends=True):
                for at in range(0, len(whole), _COLUMNS):
                    part = whole[at : at + _COLUMNS]
                    row = white.copy()
                    row[: len(part)] = colours[start + at : start + at + len(part)]
                    lines.append((self._visible(part), row, "normal"))
                start += len(whole)
        canvas.set_size_inches(_COLUMNS * 0.602 * POINT / 72, len(lines) * 1.35 * POINT / 72)
        canvas.set_layout_engine("none")
        axes = canvas.add_axes((0, 0, 1, 1))
        axes.axis("off")
        axes.imshow(np.stack([row for _, row, _ in lines]), aspect="auto", interpolation="nearest")
        for i, (text, _, weight) in enumerate(lines):
            font = {"family": "DejaVu Sans Mono", "weight": weight, "fontsize": POINT}
            axes.text(-0.5, i, text, va="center_baseline", **font)

    def to_html(self) -> str:
        """The text as an HTML fragment."""
        legend = _spans(" " * 21, self._legend())
        pre = '<pre style="background:#fff;color:#000;padding:.5em;overflow-x:auto">'
        scale = f"{html.escape(self._before_legend())} {legend} {self._after_legend()}"
        parts = [f"<p>{html.escape(self.title)}</p>{pre}{scale}</pre>"]
        for caption, signal in zip(self.captions, self.signals, strict=True):
            text = _spans(self.text, signal, self.line_ends)
            parts.append(f"<p><b>{html.escape(caption)}</b></p>{pre}{text}</pre>")
        return "\n".join(parts)

    def _legend(self) -> np.ndarray:
        return np.linspace(-1 if self.signed else 0, 1, 21)

    def _before_legend(self) -> str:
        return f"{self.label}: {-1 if self.signed else 0}"

    def _after_legend(self) -> str:
        return "+1" if self.signed else "1"

    def _visible(self, text: str) -> str:
        return _visible(text if self.line_ends else text.rstrip("\n"))


def _colours(signal: np.ndarray) -> np.ndarray:
    """Colours [N, 3] in 0..1 of a signal [N]: blue at -1, white at 0, orange at 1."""
    ends = np.array([[0x56, 0xB4, 0xE9], [0xE6, 0x9F, 0x00]]) / 255  # Okabe and Ito
    signal = np.clip(np.nan_to_num(signal), -1, 1)[:, None]
    return 1 - np.abs(signal) * (1 - np.where(signal < 0, ends[:1], ends[1:]))


def _visible(text: str) -> str:
    """One printed character for each: a line's end and a tab as arrows."""
    return "".join({"\n": "↵", "\t": "→"}.get(c, c if c.isprintable() else "·") for c in text)


def _spans(text: str, signal: np.ndarray, line_ends: bool = True) -> str:
    """The text with its background in 33 shades, a span for each run of one shade."""
    colours = (_colours(np.round(np.asarray(signal) * 16) / 16) * 255).astype(int)
    runs = itertools.groupby(zip(map(tuple, colours.tolist()), text, strict=True), lambda p: p[0])
    spans = []
    for (r, g, b), run in runs:
        part = html.escape("".join(c for _, c in run))
        part = part.replace("\n", "↵\n") if line_ends else part
        spans.append(f'<span style="background:#{r:02x}{g:02x}{b:02x}">{part}</span>')
    return "".join(spans)
