"""Sounds: written as WAV files, which the page plays, and drawn as spectrograms."""

import dataclasses
import itertools
import wave
from pathlib import Path
from typing import Any

import numpy as np

from nets.report.figures import COLOURS, LINES, POINT, Figure, Panel, Picture, set_title


@dataclasses.dataclass(frozen=True, eq=False)
class Sound(Figure):
    """A sound [N] of full scale 1, as a WAV file of 16 bits; one that is louder is made softer."""

    samples: np.ndarray
    rate: int

    def write(self, folder: Path, name: str) -> Path:
        path = folder / f"{name}.wav"
        samples = np.asarray(self.samples, np.float64)
        samples = samples / max(1.0, np.abs(samples).max(initial=0))
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, self.rate, len(samples), "NONE", ""))
            file.writeframes(np.round(32767 * samples).astype("<i2").tobytes())
        return path


@dataclasses.dataclass(frozen=True, eq=False)
class Spectrogram(Panel):
    """The power of a sound over time and frequency, in dB.

    Attributes:
        power: [T, F], from 0 Hz to half the rate.
        seconds: the duration.
        rate: samples per second.
        peak: power that is drawn lightest; None means the maximum.
        depth: dB below it that are drawn black.
        marks: texts at times in seconds, above the picture.
    """

    power: np.ndarray
    seconds: float
    rate: int
    peak: float | None = None
    depth: float = 60.0
    marks: tuple[tuple[float, str], ...] = ()

    def size(self) -> tuple[float, float]:
        return 7.5, 3.0

    def panel_size(self) -> tuple[float, float]:
        return 5.0, 2.9

    def plot(self, axes: Any) -> None:
        axes.figure.colorbar(self.show(axes), ax=axes, label="dB", shrink=0.9)
        axes.set_xlabel("time / s")

    def show(self, axes: Any) -> Any:
        """Draws into axes, without the scale and the name of the time; the image."""
        power = np.asarray(self.power, np.float64)
        peak = max(power.max() if self.peak is None else self.peak, 1e-12)
        level = 10 * np.log10(np.maximum(power / peak, 10 ** (-self.depth / 10)))
        extent = (0, self.seconds, 0, self.rate / 2000)
        image = axes.imshow(
            level.T, "magma", origin="lower", aspect="auto", extent=extent, vmin=-self.depth, vmax=0
        )
        axes.set_ylabel("frequency / kHz")
        for time, text in self.marks:
            axes.axvline(time, color="white", linewidth=0.8, linestyle=":")
            axes.text(time, self.rate / 2000, text, ha="center", va="bottom", fontweight="bold")
        set_title(axes, self.title)
        if self.marks:
            axes.set_title(axes.get_title(), fontsize=POINT + 3, pad=18)
        return image


@dataclasses.dataclass(frozen=True, eq=False)
class SoundAndCurves(Picture):
    """The spectrogram of a sound, and below it curves [N] at times x [N] in seconds."""

    spectrogram: Spectrogram
    x: np.ndarray
    curves: dict[str, np.ndarray]
    y_label: str

    def draw(self, canvas: Any) -> None:
        canvas.set_size_inches(8, 5)
        canvas.suptitle(self.title, fontsize=POINT + 5, fontweight="bold")
        above, below = canvas.subplots(2, 1, sharex=True)
        self.spectrogram.show(above)
        styles = zip(itertools.cycle(COLOURS), itertools.cycle(LINES), strict=False)
        for (name, y), (colour, line) in zip(self.curves.items(), styles, strict=False):
            below.plot(self.x, y, line, color=colour, label=name)
        below.set(xlabel="time / s", ylabel=self.y_label, xlim=(0, self.spectrogram.seconds))
        below.grid(alpha=0.3)
        below.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=POINT)
