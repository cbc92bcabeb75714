"""Music as a piano roll: which keys sound when."""

import dataclasses
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, Panel, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class PianoRoll(Panel):
    """Frames [T, keys] of 0 and 1: time from left to right, pitch from bottom to top.

    Attributes:
        roll: the frames.
        lowest: pitch of the lowest key, as of MIDI: 21 is the A of a piano.
        beat: frames of a beat.
        given: frames that the model did not write, in grey.
    """

    roll: np.ndarray
    lowest: int = 21
    beat: int = 4
    given: int = 0

    def size(self) -> tuple[float, float]:
        return float(np.clip(0.05 * len(self.roll) + 1, 6, 14)), 3.6

    def panel_size(self) -> tuple[float, float]:
        return self.size()

    def plot(self, axes: Any) -> None:
        frames, keys = np.nonzero(self.roll)
        used = (keys.min() - 2, keys.max() + 3) if len(keys) else (0, self.roll.shape[1])
        for first, last, colour in ((0, self.given, "#999999"), (self.given, None, COLOURS[0])):
            for key in range(*np.clip(used, 0, self.roll.shape[1])):
                spans = _spans(self.roll[first:last, key], first)
                axes.broken_barh(spans, (self.lowest + key - 0.4, 0.8), facecolor=colour)
        pitches = np.arange(self.lowest + used[0], self.lowest + used[1])
        octaves = [int(pitch) for pitch in pitches if pitch % 12 == 0]
        axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
        axes.grid(axis="y", alpha=0.3)
        bars = np.arange(0, len(self.roll) + 1, 4 * self.beat)
        axes.set_xticks(bars[:: max(1, len(bars) // 16)])
        axes.set(
            xlim=(0, len(self.roll)), xlabel=f"frame ({self.beat} a beat)", ylabel="key",
            ylim=(self.lowest + used[0], self.lowest + used[1]),
        )  # fmt: skip
        set_title(axes, self.title)


def _spans(column: np.ndarray, first: int) -> list[tuple[int, int]]:
    """Start and length of the runs of ones in a column [T]."""
    change = np.flatnonzero(np.diff(np.pad(np.asarray(column, int), 1)))
    return [(first + a, b - a) for a, b in change.reshape(-1, 2)]
