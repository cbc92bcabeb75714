"""Batches of rows of like length, so that few positions are padding and few shapes are compiled."""

import numpy as np

from nets.data.dataset import shuffled
from nets.errors import UserError

_SORTED = 50  # training batches that are sorted by length at a time
_BATCHES = 1  # tells the generator of their order from that of an epoch's


def of_like_length(seed: int, lengths: np.ndarray, batch_size: int, i: int) -> np.ndarray:
    """The rows [batch_size] of training batch i, of `lengths` [N].

    Every row comes exactly once per epoch, in an order drawn anew for each. 50 batches of that
    order at a time, be it across epochs, are sorted by length, and shuffled as whole batches.
    """
    pool, within = divmod(i, _SORTED)
    chosen = shuffled(seed, len(lengths), _SORTED * batch_size, pool)
    batches = chosen[np.argsort(lengths[chosen], kind="stable")].reshape(_SORTED, batch_size)
    return batches[np.random.default_rng((seed, pool, _BATCHES)).permutation(_SORTED)[within]]


def bucket(widths: tuple[int, ...], longest: int) -> int:
    """The smallest of the rising widths that holds `longest`, or the last.

    >>> bucket((10, 20, 40), 11), bucket((10, 20, 40), 50)
    (20, 40)
    """
    return next((width for width in widths if width >= longest), widths[-1])


def check_widths(widths: tuple[int, ...], field: str, maximum: int) -> None:
    """Refuses, by UserError, `widths` that do not rise from 1 to below a field's maximum."""
    rising = (0, *widths, maximum)
    if list(rising) != sorted(set(rising)):
        raise UserError(
            f"must rise from 1 to below {field}={maximum}, got {','.join(map(str, widths))}.",
            "widths",
        )
