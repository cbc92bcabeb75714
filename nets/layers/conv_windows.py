"""Windows over the spatial axes: sizes, padding, and the values at each tap."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nets.layers.checks import check_at_least

Pads = tuple[tuple[int, int], ...]
Padding = Literal["SAME", "VALID", "CAUSAL", "CIRCULAR"] | int | Pads


def output_size(
    size: int, window: int, stride: int = 1, pad: tuple[int, int] = (0, 0), dilation: int = 1
) -> int:
    """Number of positions of a window along an axis, (W - F + 2P) / S + 1, rounded down.

        floor((size + low + high - (dilation (window - 1) + 1)) / stride) + 1

        >>> output_size(32, window=5, stride=2, pad=(2, 2))
        16

    Raises:
        ValueError: the window is larger than the padded axis, or `stride` is below 1.
    """
    check_at_least("stride", stride, 1)
    reach = dilation * (window - 1) + 1
    if size + sum(pad) < reach:
        raise ValueError(
            f"a window must fit into {size} positions padded by {pad[0]} and {pad[1]}, "
            f"got a window of {reach}"
        )
    return (size + sum(pad) - reach) // stride + 1


class Sliding(NamedTuple):
    """A window that slides along the spatial axes of a layer; one value for each axis.

    Attributes:
        kind: name of the operation.
        sizes: number of positions of the input.
        window: size of the window.
        strides: distance between the windows of neighbouring outputs.
        pads: positions added low and high.
        dilation: distance between neighbouring taps.
        positions: number of positions of the output.
    """

    kind: str
    sizes: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    positions: tuple[int, ...]


_observer: contextvars.ContextVar[Callable[[Sliding], None] | None] = contextvars.ContextVar(
    "observer", default=None
)


@contextlib.contextmanager
def observing(observer: Callable[[Sliding], None]) -> Iterator[None]:
    """Calls `observer` for every convolution and pooling that is traced inside of the context."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def observed(sliding: Sliding) -> None:
    """Tells the observer, if there is one."""
    if (observer := _observer.get()) is not None:
        observer(sliding)


def explicit_pads(
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    dilation: Sequence[int],
) -> Pads:
    """Low and high padding of each axis.

        >>> explicit_pads((8, 8), (3, 3), (2, 2), "SAME", (1, 1))
        ((0, 1), (0, 1))

    Raises:
        ValueError: the padding is invalid for this number of axes.
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
        f"padding must be a number >= 0, a pair of them for each of {len(window)} axes, SAME, "
        f"VALID, CIRCULAR or, for one axis, CAUSAL, got {padding!r}"
    )


def to_tuple(value: int | Sequence[int], rank: int, name: str) -> tuple[int, ...]:
    """One number for each of `rank` axes.

        >>> to_tuple(2, rank=3, name="strides")
        (2, 2, 2)

    Raises:
        ValueError: there are more or fewer numbers than axes, or one is below 1.
    """
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank or min(values, default=1) < 1:
        raise ValueError(
            f"{name} must be a number >= 1, or one for each of {rank} axes, got {value}"
        )
    return values


def check_axes(x: jax.Array, window: Sequence[int]) -> None:
    """Raises ValueError unless x is [B, *spatial, C], with a spatial axis per window size >= 1."""
    if x.ndim != len(window) + 2:
        raise ValueError(
            f"x must be [B, *spatial, C] with {len(window) + 2} axes for window={tuple(window)}, "
            f"got shape {list(x.shape)}"
        )
    check_at_least("window", min(window, default=1), 1)


def patches(
    x: jax.Array,
    window: Sequence[int],
    strides: Sequence[int],
    pads: Pads,
    dilation: Sequence[int],
) -> list[jax.Array]:
    """The values of x [B, *spatial, C] at each tap of the window, [B, *spatial', C] each.

    >>> x = jnp.arange(4.0).reshape(1, 4, 1)
    >>> [a.ravel().tolist() for a in patches(x, (2,), (2,), ((0, 0),), (1,))]
    [[0.0, 2.0], [1.0, 3.0]]
    """
    axes = zip(x.shape[1:-1], window, strides, pads, dilation, strict=True)
    reach = np.subtract([output_size(*axis) for axis in axes], 1) * strides + 1
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    taps = [np.multiply(tap, dilation) for tap in np.ndindex(*window)]
    return [x[:, *map(slice, tap, tap + reach, strides)] for tap in taps]
