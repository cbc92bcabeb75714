"""Figures of next-symbol prediction: mistakes by length, and the memory along a sequence."""

import math
from collections.abc import Sequence

import numpy as np

from nets.report.line_plot import LinePlot
from nets.report.time_maps import TimeMap, TimeMaps

_STEPS = 26  # of the sequence that is drawn, at most, so that its symbols can be read
_ROWS = 12  # numbered in a picture
_LEAST = 1e-7  # probability that is drawn, that of float32


def best_to_show(steps: np.ndarray) -> int:
    """Index of the longest sequence that can be read in a picture, or of the shortest."""
    readable = np.where(steps <= _STEPS, steps, -1)
    return int(readable.argmax() if readable.max() > 0 else steps.argmin())


def by_length(steps: np.ndarray, wrong: np.ndarray, trained: int | None) -> LinePlot:
    """The largest probability of a wrong symbol [B], over the length of its sequence [B].

    `trained` is the length of the longest sequences of training; None means that it is not known.
    """
    lengths = np.unique(steps)
    curve = {"largest": np.array([max(wrong[steps == n].max(), _LEAST) for n in lengths])}
    mark = None if trained is None else ("longest in training", float(trained))
    title = "Probability of a wrong symbol, where it is largest in a sequence"
    return LinePlot(title, lengths, curve, "steps of the sequence", "probability", True, mark)


def memory(
    inputs: np.ndarray,
    probabilities: np.ndarray,
    traces: dict[str, np.ndarray],
    symbols: Sequence[str],
) -> TimeMaps:
    """Inputs [T], predictions [T, K] and the traces [T, C] of the memory."""
    names = tuple(symbols)
    maps = [
        TimeMap("reads", np.eye(len(symbols))[inputs], names=names),
        TimeMap("predicts", probabilities, names=names),
    ]
    for name, trace in traces.items():
        low, high = min(0, math.floor(trace.min())), max(1, math.ceil(trace.max()))
        numbers = (
            tuple(str(k + 1) for k in range(trace.shape[1])) if trace.shape[1] <= _ROWS else ()
        )
        maps.append(TimeMap(name, trace, (low, high), numbers))
    title = f"A sequence of {len(inputs)} steps"
    return TimeMaps(title, tuple(maps), tuple(symbols[i] for i in inputs))
