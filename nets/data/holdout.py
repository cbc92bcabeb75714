"""Splits where a set has none."""

import numpy as np


def holdout(n: int, share: float) -> tuple[list[int], list[int]]:
    """A share of n rows, drawn at random, always the same, and the others; both in order.

    None is held out where that would leave no row to train on.

        >>> [len(rows) for rows in holdout(10, 0.2)]
        [2, 8]
    """
    count = round(share * n)
    order = np.random.default_rng(0).permutation(n).tolist()
    count = count if count < n else 0
    return sorted(order[:count]), sorted(order[count:])
