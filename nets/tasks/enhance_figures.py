"""Figures of speech enhancement: sounds before and after, their spectrograms, and a mask."""

import numpy as np

from nets.report.figures import Figure, Panels
from nets.report.sound import Sound, Spectrogram
from nets.tasks.task import Prediction

_FRAME = 0.032  # seconds of a frame of a drawn spectrogram


def spectrogram(title: str, sound: np.ndarray, rate: int, peak: float | None = None) -> Spectrogram:
    """The power of a sound [N], frames of 32 ms, four times overlapping."""
    size = max(16, int(_FRAME * rate) // 4 * 4)
    padded = np.pad(sound, (size // 2, size))
    framed = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(sound) : size // 4]
    power = np.abs(np.fft.rfft(framed * np.hanning(size))) ** 2
    return Spectrogram(title, power, len(sound) / rate, rate, peak)


def together(title: str, sounds: dict[str, np.ndarray], rate: int, columns: int) -> Panels:
    """The spectrograms of several sounds on one scale."""
    drawn = [spectrogram(name, sound, rate) for name, sound in sounds.items()]
    peak = max(panel.power.max() for panel in drawn)
    panels = tuple(spectrogram(name, sound, rate, peak) for name, sound in sounds.items())
    return Panels(title, panels, columns=columns)


def examples(
    noisy: np.ndarray, enhanced: np.ndarray, clean: np.ndarray, ratios: np.ndarray, rate: int
) -> dict[str, Figure]:
    """A sound [K, N] at each ratio [K] in dB, before and after, and clean, drawn and as sounds."""
    figures, drawn = {}, {}
    for snr, *sounds in zip(ratios, noisy, enhanced, clean, strict=True):
        for name, sound in zip(("noisy", "enhanced", "clean"), sounds, strict=True):
            title = f"{name}, {snr:g} dB"
            drawn[title] = sound
            figures[f"sound_{snr:g}db_{name}"] = Sound(title, sound, rate)
    title = "Left: noisy. Middle: enhanced. Right: clean"
    return {"spectrograms": together(title, drawn, rate, 3)} | figures


def prediction(noisy: np.ndarray, enhanced: np.ndarray, rate: int) -> Prediction:
    """A sound [N] before and after."""
    removed = noisy - enhanced
    share = float(np.sum(removed**2) / max(np.sum(noisy**2), 1e-12))
    drawn = together("Before and after", {"before": noisy, "after": enhanced}, rate, 2)
    return Prediction(
        f"enhanced; {100 * share:.0f}% of the energy removed",
        {"seconds": len(noisy) / rate, "rate": rate, "removed_energy": share},
        drawn,
        {
            "enhanced": Sound("after", enhanced, rate),
            "removed": Sound("what was removed", removed, rate),
        },
    )
