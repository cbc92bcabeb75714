"""Figures of a translation run: decoded sequences, and the attention of each symbol."""

from typing import Any

import numpy as np

from nets.layers.decoding import Decoded
from nets.report.figures import Figure, Panels, Text
from nets.report.heatmap import Heatmap

_WRITTEN = 12  # sequences whose translation is shown
_ALIGNED = 3  # sequences whose alignment is drawn
_LONGEST = 40  # symbols, at most, of a sequence that is drawn


def translations(
    rows: dict[str, np.ndarray], decoded: np.ndarray, tokenizer: Any, target_tokenizer: Any
) -> dict[str, Figure]:
    """Decoded sequences, the wrong ones first."""
    wrong = (decoded != rows["targets"]).any(1)
    lines = [
        _line(rows, decoded, i, tokenizer, target_tokenizer)
        for i in np.argsort(~wrong, kind="stable")[:_WRITTEN]
    ]
    title = f"Decoded test sequences: {wrong.sum()} of {len(wrong)} wrong"
    return {"decoded": Text(title, "\n".join(lines))}


def alignments(
    rows: dict[str, np.ndarray], decoded: Decoded, tokenizer: Any, target_tokenizer: Any
) -> dict[str, Figure]:
    """The attention of some sequences, symbol by symbol, the right ones first.

    Those are the longest right ones, then wrong ones, of what is not too long to draw.
    """
    wrong = (decoded.symbols != rows["targets"]).any(1)
    lengths = [[len(_up_to_end(ids)) for ids in a] for a in (rows["inputs"], decoded.symbols)]
    drawn = np.flatnonzero(np.max(lengths, 0) < _LONGEST)
    drawn = drawn[np.lexsort((-np.max(lengths, 0)[drawn], wrong[drawn]))]
    panels = []
    for i in drawn[:_ALIGNED]:
        source, target = _up_to_end(rows["inputs"][i]), _up_to_end(decoded.symbols[i])
        attention = decoded.weights[i, : len(target) + 1, : len(source)]
        panels.append(
            Heatmap(
                _line(rows, decoded.symbols, i, tokenizer, target_tokenizer), attention,
                (*(_shown(target_tokenizer.vocabulary[j]) for j in target), "end")[:len(attention)],
                tuple(_shown(tokenizer.vocabulary[j]) for j in source),
                "output", "input", fixed_range=True, unit="attention",
            )
        )  # fmt: skip
    if not panels:
        return {}
    title = "Attention of each output symbol (rows) to the input symbols (columns)"
    return {"alignment": Panels(title, tuple(panels), columns=1)}


def _line(
    rows: dict[str, np.ndarray], decoded: np.ndarray, i: int, tokenizer: Any, target_tokenizer: Any
) -> str:
    """A source with its translation, and with the right one where the translation is another."""
    line = f"{tokenizer.decode(rows['inputs'][i])} -> {target_tokenizer.decode(decoded[i])}"
    if (decoded[i] == rows["targets"][i]).all():
        return line
    return f"{line}  (wrong; correct: {target_tokenizer.decode(rows['targets'][i])})"


def _up_to_end(ids: np.ndarray) -> list[int]:
    ids = list(map(int, ids))
    return ids[: ids.index(0)] if 0 in ids else ids


def _shown(symbol: str) -> str:
    """A symbol as a label: a space alone is visible, that before a word is not needed."""
    return symbol.replace("▁", "") or symbol if symbol != " " else "␣"
