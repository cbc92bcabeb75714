"""How pixels become inputs: by the mean and deviation of each channel, or by a range of values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nets.errors import UserError, check_choice

RANGES = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0), "lecun": (-0.1, 1.175)}
"""Values of black and white."""


def check(data: Any) -> None:
    """Refuses impossible fields normalise, mean and std of a data set.

    Raises:
        UserError: one of them is not valid.
    """
    check_choice(data, "normalise", ("standard", *RANGES))
    for field in ("mean", "std"):
        value = getattr(data, field)
        if value is not None and not (value and np.isfinite(value).all()):
            raise UserError(f"must be a number for each channel, got {value}.", field)
    if data.std is not None and min(data.std) <= 0:
        raise UserError(f"must be above 0, got {data.std}.", "std")


def statistics(
    data: Any, channels: int, name: str, measure: Callable[[], tuple[np.ndarray, np.ndarray]]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel: the data set's fields before those measured.

    Args:
        channels: channels of the images.
        name: what the set is called.
        measure: the mean and standard deviation of the training images.

    Raises:
        UserError: a field has not as many numbers as images have channels.
    """
    for field in ("mean", "std"):
        value = getattr(data, field)
        if value is not None and len(value) != channels:
            raise UserError(
                f"has {len(value)} numbers, and the images of {name} have channels={channels}.",
                field,
            )
    if data.mean is not None and data.std is not None:
        return data.mean, data.std
    mean, std = measure()
    return data.mean or tuple(mean.tolist()), data.std or tuple(std.tolist())


def factor_and_offset(
    normalise: str, statistics: Callable[[], tuple[tuple[float, ...], tuple[float, ...]]]
) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset [C], or [1], float32 that take pixels 0..255 to inputs."""
    if normalise == "standard":
        mean, std = map(np.array, statistics())
        factor, offset = 1 / (255 * std), -mean / std
    else:
        low, high = RANGES[normalise]
        factor, offset = np.array([(high - low) / 255]), np.array([low])
    return factor.astype(np.float32), offset.astype(np.float32)


def apply(images: np.ndarray, factor: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The images [..., C] as float32 inputs."""
    out = np.multiply(images, factor, dtype=np.float32)
    out += offset
    return out


def mean_and_deviation(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [C] in 0..1 of pixels of which counts [C, 256] have each level.

    The deviation is at least one level, so that one over it is finite.
    """
    share, level = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = (share * level).sum(1)
    variance = (share * (level - mean[:, None]) ** 2).sum(1)
    return mean, np.sqrt(np.maximum(variance, 255.0**-2))


def levels(image: np.ndarray) -> np.ndarray:
    """The number of pixels of each channel at each of the 256 levels, [C, 256]."""
    channels = range(image.shape[-1])
    return np.array([np.bincount(image[..., c].ravel(), minlength=256) for c in channels])
