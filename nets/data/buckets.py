"""Rows of unequal length in batches of like length: few shapes, each compiled once."""

import numpy as np

from nets.data.dataset import shuffled

_SORTED = 50  # batches that are sorted by length at a time
_ORDER = 3  # tells the generator of their order from others of the same seed


def bucketed(seed: int, size: int, i: int, lengths: np.ndarray) -> np.ndarray:
    """The rows [size] of training batch i: of like length, each row once per epoch.

    50 batches of the order of `shuffled` at a time are sorted by length, and then shuffled as whole
    batches.
    """
    pool, within = divmod(i, _SORTED)
    chosen = shuffled(seed, len(lengths), _SORTED * size, pool)
    batches = chosen[np.argsort(lengths[chosen], kind="stable")].reshape(_SORTED, size)
    return np.random.default_rng((seed, pool, _ORDER)).permutation(batches)[within]


def width(widths: tuple[int, ...], longest: int) -> int:
    """The smallest of rising widths that holds so many; the last one where none does."""
    return next((w for w in widths if w >= longest), widths[-1])


def padded_rows_of(sounds: list[np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of unequal length as rows [B, size], zeros behind, and their lengths [B] (int32)."""
    rows = np.zeros((len(sounds), size), np.float32)
    for row, sound in zip(rows, sounds, strict=True):
        row[: len(sound)] = sound[:size]
    return rows, np.array([min(len(sound), size) for sound in sounds], np.int32)
