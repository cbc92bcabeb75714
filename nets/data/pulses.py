"""Pulses somewhere in white noise, generated as they are met."""

import dataclasses
import math
from typing import Any

import numpy as np

from nets.data.synthetic import Batch, Generated
from nets.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pulses(Generated):
    """A known pulse at an unknown place of a noisy signal: synthetic, as radar or sonar hears it.

    "inputs" [B, T, 1] float32 are white Gaussian noise of deviation 1 / sqrt(snr), and `pulse` in
    it, of energy 1; "targets" [B] int32 are the steps at which it begins, uniform in 0 to
    T - width; "pulse" [B, width] float32 is the pulse, the same in every row.

    Attributes:
        batch_size: signals in a training batch.
        eval_batch_size: signals in a batch of an evaluation.
        eval_size: signals in each of the two evaluation sets.
        length: steps T of a signal.
        width: steps of the pulse.
        snr: energy of the pulse over the variance of the noise.
    """

    length: int = 256
    width: int = 32
    snr: float = 25.0

    def __post_init__(self):
        super().__post_init__()
        if not 2 <= self.width <= self.length:
            raise UserError(
                f"--data.width={self.width} is not possible; 2 to --data.length={self.length} is."
            )
        if not (self.snr > 0 and math.isfinite(self.snr)):
            raise UserError(f"--data.snr={self.snr} is not possible; it is positive.")

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        places = rng.integers(0, self.length - self.width + 1, rows, np.int32)
        signals = rng.normal(0, self.snr**-0.5, (rows, self.length))
        steps = places[:, None] + np.arange(self.width)
        signals[np.arange(rows)[:, None], steps] += pulse(self.width)
        sent = np.tile(pulse(self.width), (rows, 1))
        inputs, sent = signals[..., None].astype(np.float32), sent.astype(np.float32)
        return {"inputs": inputs, "targets": places, "pulse": sent}

    def about(self) -> dict[str, Any]:
        """The pulse [width] and its energy over the variance of the noise."""
        return {"pulse": pulse(self.width).tolist(), "snr": self.snr}


def pulse(width: int) -> np.ndarray:
    """A chirp that fades, [width], of energy 1; it rises from 2 to 8 turns in `width` steps.

    Mirrored it is another pulse, so that correlation and convolution with it differ.
    """
    t = np.arange(width) / width
    wave = np.exp(-2 * t) * np.cos(2 * np.pi * (2 + 3 * t) * t)
    return wave / np.linalg.norm(wave)
