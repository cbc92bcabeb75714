"""Figures of answers in bits: what goes in and comes out, and where the heads read and write."""

import numpy as np

from nets.report.figures import Figure
from nets.report.time_maps import TimeMap, TimeMaps

_SLOTS = 0.05  # weight above which a slot is drawn


def sequences(
    rows: dict[str, dict[str, np.ndarray]],
    probabilities: np.ndarray,
    weightings: dict[str, np.ndarray],
) -> dict[str, Figure]:
    """One picture for each example.

    Args:
        rows: "inputs" [T, D], "targets" [T, K] and "mask" [T] of each, by the name of its size.
        probabilities: [B, T', K] of the bits.
        weightings: [B, T', N] of each head.
    """
    figures: dict[str, Figure] = {}
    for i, (name, row) in enumerate(rows.items()):
        answered = row["mask"] > 0
        end = int(np.flatnonzero(answered)[-1]) + 1
        counts = answered[:end, None]
        inputs, targets = row["inputs"][:end], row["targets"][:end] * counts
        outputs = probabilities[i, :end] * counts
        wrong = ((outputs > 0.5) != (targets > 0.5)).sum()
        low = min(0.0, float(inputs.min()))
        maps = [
            TimeMap("inputs", inputs, (low, max(1.0, float(inputs.max())))),
            TimeMap("targets", targets),
            TimeMap("outputs", outputs),
        ]
        heads = {head: weightings[head][i, :end] for head in sorted(weightings, key=_order)}
        if heads:
            slots = arc(np.max([w.max(0) for w in heads.values()], axis=0) > _SLOTS)
            names = _names(slots)
            maps += [
                TimeMap(f"{head}:\nslots", w[:, slots], names=names) for head, w in heads.items()
            ]
        size = name.replace("_", " ")
        title = f"A sequence as in training, {end} steps" if i == 0 else f"A longer one, {size}"
        title += f": {wrong} of {int(counts.sum()) * targets.shape[1]} bits wrong"
        figures["answers" if i == 0 else f"answers_{name}"] = TimeMaps(title, tuple(maps))
    return figures


def arc(used: np.ndarray) -> np.ndarray:
    """The slots from the first that is used to the last, on a circle: all but the longest run of
    others; those before slot 0 are negative. All slots if none is used.

    >>> arc(np.array([True, False, False, False, True])).tolist()
    [-1, 0]
    """
    places = np.flatnonzero(used if used.any() else ~used)
    gaps = np.diff(places, prepend=places[-1] - len(used))  # before each
    first, count = places[gaps.argmax()], len(used) + 1 - gaps.max()
    return first + np.arange(count) - (len(used) if first + count > len(used) else 0)


def _names(slots: np.ndarray) -> tuple[str, ...]:
    """Names of slots: those of 0, and of the first and last where they are not close to it."""
    names = [""] * len(slots)
    close = len(slots) / 8
    zero = int(-slots[0]) if slots[0] <= 0 <= slots[-1] else None
    for k in (0, len(slots) - 1):
        if zero is None or abs(k - zero) > close:
            names[k] = str(slots[k])
    if zero is not None:
        names[zero] = "0"
    return tuple(names)


def _order(head: str) -> tuple[int, bool, int]:
    """By layers; heads that write come first, each kind by its numbers."""
    name, _, layer = head.partition(", layer ")
    kind, number = name.split()
    return int(layer or 0), kind == "read", int(number)
