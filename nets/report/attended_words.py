"""Sentences that are read word by word, with the attention to the earlier words."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from nets.report.figures import POINT, Picture

_COLUMNS = 100  # characters in a line, at least
_CURRENT = "#D55E00"
_ATTENDED = np.array([0x56, 0xB4, 0xE9]) / 255  # Okabe and Ito


class Sentence(NamedTuple):
    """The words of a sentence, and the weights [T, T] of each (rows) on the words (columns)."""

    words: tuple[str, ...]
    weights: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class AttendedWords(Picture):
    """A line for each word, with the words up to it (Cheng et al. 2016, figure 1).

    The word is in orange; behind the words that it attends to is blue, the darker the greater the
    weight, from white at 0 to full at the largest of the sentence.

    Attributes:
        sentences: one below the other.
    """

    sentences: tuple[Sentence, ...]

    def draw(self, canvas: Any) -> None:
        columns = max(_COLUMNS, *(sum(map(len, s.words)) + len(s.words) for s in self.sentences))
        colours, texts = [np.ones((columns, 3))], [(0, 0, self.title, "black", "bold")]
        for sentence in self.sentences:
            starts = np.cumsum([0, *(len(word) + 1 for word in sentence.words)])
            largest = float(np.max(sentence.weights))
            scale = f"weight: white 0, darkest {largest:.2g}"
            texts.append((columns - len(scale), len(colours), scale, "dimgray", "normal"))
            colours.append(np.ones((columns, 3)))
            for t, weights in enumerate(sentence.weights):
                row = np.ones((columns, 3))
                for start, word, weight in zip(
                    starts, sentence.words[: t + 1], weights, strict=False
                ):
                    shade = 1 - weight / (largest or 1) * (1 - _ATTENDED)
                    row[start : start + len(word)] = shade
                    current = start == starts[t]
                    style = (_CURRENT, "bold") if current else ("black", "normal")
                    texts.append((start, len(colours), word, *style))
                colours.append(row)
        canvas.set_size_inches(columns * 0.602 * POINT / 72, len(colours) * 1.35 * POINT / 72)
        canvas.set_layout_engine("none")
        axes = canvas.add_axes((0, 0, 1, 1))
        axes.axis("off")
        axes.imshow(np.stack(colours), aspect="auto", interpolation="nearest")
        for start, line, text, colour, weight in texts:
            font = {"family": "DejaVu Sans Mono", "weight": weight, "fontsize": POINT}
            axes.text(start - 0.5, line, text, va="center_baseline", color=colour, **font)
