"""Windows over the axes of an image: where they are, and what they see."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Pads = tuple[tuple[int, int], ...]
Padding = Literal["SAME", "VALID", "CAUSAL", "CIRCULAR"] | int | Pads


def output_size(
    size: int, window: int, stride: int = 1, pad: tuple[int, int] = (0, 0), dilation: int = 1
) -> int:
    """Number of places of a window along an axis, (W - F + 2P) / S + 1, rounded down.

        floor((size + low + high - (dilation (window - 1) + 1)) / stride) + 1

    Where the stride does not divide, the last of the input is not seen.

    Raises:
        ValueError: there is no place for the window.
    """
    reach = dilation * (window - 1) + 1
    if size + sum(pad) < reach:
        raise ValueError(
            f"a window of {reach} does not fit into {size} places padded by {pad[0]} and {pad[1]}"
        )
    return (size + sum(pad) - reach) // stride + 1


def explicit_pads(
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    dilation: Sequence[int],
) -> Pads:
    """Low and high padding of each axis.

    Raises:
        ValueError: there is no such padding for so many axes.
    """
    reach = [d * (w - 1) + 1 for w, d in zip(window, dilation, strict=True)]
    if padding == "CAUSAL" and len(window) == 1:
        return ((reach[0] - 1, 0),)
    if padding in ("SAME", "VALID", "CIRCULAR"):
        kind = "VALID" if padding == "VALID" else "SAME"
        return tuple(lax.padtype_to_pads(sizes, reach, strides, kind))
    pairs = ((padding, padding),) * len(window) if isinstance(padding, int) else padding
    if not isinstance(pairs, str) and [np.shape(pair) for pair in pairs] == [(2,)] * len(window):
        if np.min(pairs) >= 0:
            return tuple((low, high) for low, high in pairs)
    raise ValueError(
        f"padding={padding!r} for {len(window)} axes: valid are a number from 0 up, a pair of them "
        "for each axis, SAME, VALID, CIRCULAR and, for one axis, CAUSAL"
    )


def to_tuple(value: int | Sequence[int], rank: int, name: str) -> tuple[int, ...]:
    """One number for each axis.

    Raises:
        ValueError: there are more or fewer of them, or one is below 1.
    """
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank or min(values) < 1:
        raise ValueError(
            f"{name}={value} for {rank} axes: valid are a number from 1 up, or one for each axis"
        )
    return values


def patches(
    x: jax.Array,
    window: Sequence[int],
    strides: Sequence[int],
    pads: Pads,
    dilation: Sequence[int],
) -> list[jax.Array]:
    """What each tap of the window sees of x [B, *spatial, C]: [B, *places, C] for every one."""
    axes = zip(x.shape[1:-1], window, strides, pads, dilation, strict=True)
    reach = np.subtract([output_size(*axis) for axis in axes], 1) * strides + 1
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    taps = [np.multiply(tap, dilation) for tap in np.ndindex(*window)]
    return [x[:, *map(slice, tap, tap + reach, strides)] for tap in taps]
