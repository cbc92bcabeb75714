"""Batches of rows of like length, each of the smallest of a few widths that holds its rows.

A step is compiled once for each width, so that a run compiles as many as there are widths, at most.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nets.data.dataset import shuffled
from nets.errors import UserError

SORTED = 50  # training batches that are sorted by length at a time
_BATCHES = 1  # tells the generator of their order from that of an epoch's


def check_widths(widths: Sequence[int], maximum: int, field: str = "max_length") -> None:
    """Refuses, by UserError, `widths` that do not rise from 1 to below a field's maximum."""
    rising = (0, *widths, maximum)
    if list(rising) != sorted(set(rising)):
        raise UserError(
            f"must rise from 1 to below {field}={maximum}, got {','.join(map(str, widths))}.",
            "widths",
        )


def width_of(widths: Sequence[int], lengths: np.ndarray) -> int:
    """The smallest of the rising widths that holds rows of these lengths, or the last."""
    return next((w for w in widths if w >= lengths.max()), widths[-1])


def training_rows(
    seed: int, batch_size: int, lengths: np.ndarray, widths: Sequence[int]
) -> Callable[[int], np.ndarray]:
    """A function from a step to the rows [batch_size] of its batch.

    Every row comes exactly once per epoch, in an order drawn anew for each. With `widths`, 50
    batches of that order at a time, be it across epochs, are sorted by length and then shuffled as
    whole batches.
    """

    def rows(i: int) -> np.ndarray:
        if not widths:
            return shuffled(seed, len(lengths), batch_size, i)
        pool, within = divmod(i, SORTED)
        chosen = shuffled(seed, len(lengths), SORTED * batch_size, pool)
        chosen = chosen[np.argsort(lengths[chosen], kind="stable")].reshape(SORTED, batch_size)
        return np.random.default_rng((seed, pool, _BATCHES)).permutation(chosen)[within]

    return rows


def split_tenths(
    rows: Sequence[Any], validation: Sequence[Any] | None, test: Sequence[Any] | None
) -> dict[str, Sequence[Any]]:
    """The splits "train", "validation" and "test" of rows, of which two may have their own rows.

    Without a test every tenth row is tested (the 10th, 20th, ...); without a validation every tenth
    of the others validates.
    """
    if test is None:
        rows, test = _tenths(rows)
    if validation is None:
        rows, validation = _tenths(rows)
    return {"train": rows, "validation": validation, "test": test}


def _tenths(rows: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The rows without every tenth, and those."""
    return [row for i, row in enumerate(rows, 1) if i % 10], list(rows[9::10])
