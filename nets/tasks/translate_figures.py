"""Figures of a translation run: what was written, and where each symbol looked."""

import numpy as np

from nets.layers.decoding import Decoded
from nets.report.figures import Figure, Heatmap, Panels, Text

_WRITTEN = 12  # sequences whose translation is shown
_ALIGNED = 3  # sequences whose alignment is drawn
_LONGEST = 40  # symbols, at most, of a sequence that is drawn


def decoded(ids: np.ndarray, symbols: list[str]) -> str:
    """The text of ids up to their first 0; "▁" in a symbol is a space."""
    return "".join(symbols[i] for i in _up_to_end(ids)).replace("▁", " ").strip()


def translations(
    rows: dict[str, np.ndarray], written: np.ndarray, metadata: dict
) -> dict[str, Figure]:
    """What was written for some sequences, the wrong ones first."""
    wrong = (written != rows["targets"]).any(1)
    lines = []
    for i in np.argsort(~wrong, kind="stable")[:_WRITTEN]:
        said, right = (
            decoded(ids, metadata["output_symbols"]) for ids in (written[i], rows["targets"][i])
        )
        asked = decoded(rows["inputs"][i], metadata["input_symbols"])
        lines.append(f"{asked} -> {said}" + (f"  (wrong, it is {right})" if wrong[i] else ""))
    title = f"Written by itself: {wrong.sum()} of {len(wrong)} wrong"
    return {"written": Text(title, "\n".join(lines))}


def alignments(rows: dict[str, np.ndarray], written: Decoded, metadata: dict) -> dict[str, Figure]:
    """The attention of some sequences, symbol by symbol, the right ones first.

    Those are the longest right ones, then wrong ones, of what is not too long to draw.
    """
    wrong = (written.symbols != rows["targets"]).any(1)
    lengths = [[len(_up_to_end(ids)) for ids in a] for a in (rows["inputs"], written.symbols)]
    drawn = np.flatnonzero(np.max(lengths, 0) < _LONGEST)
    drawn = drawn[np.lexsort((-np.max(lengths, 0)[drawn], wrong[drawn]))]
    panels = []
    for i in drawn[:_ALIGNED]:
        source, target = _up_to_end(rows["inputs"][i]), _up_to_end(written.symbols[i])
        seen = written.weights[i, : len(target) + 1, : len(source)]
        said = decoded(written.symbols[i], metadata["output_symbols"])
        panels.append(
            Heatmap(
                f"{decoded(source, metadata['input_symbols'])} -> {said}", seen,
                (*(_shown(metadata["output_symbols"][j]) for j in target), "end")[: len(seen)],
                tuple(_shown(metadata["input_symbols"][j]) for j in source),
                "written", "read", fixed_range=True, unit="attention",
            )
        )  # fmt: skip
    if not panels:
        return {}
    title = "Where each symbol written looked: its attention to the symbols read"
    return {"alignment": Panels(title, tuple(panels), columns=1)}


def _up_to_end(ids: np.ndarray) -> list[int]:
    ids = list(map(int, ids))
    return ids[: ids.index(0)] if 0 in ids else ids


def _shown(symbol: str) -> str:
    """A symbol as a label: a space alone is visible, that before a word is not needed."""
    return symbol.replace("▁", "") or symbol if symbol != " " else "␣"
