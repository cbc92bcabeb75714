"""Pooling: one value for each window and channel.

Windows are reduced axis by axis, each by a chain of slices. On a CPU this makes the gradient of a
maximum some 20 times faster than that of `lax.reduce_window`, which is used for windows above
`LONG`.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nets.layers.checks import check_at_least
from nets.layers.conv_windows import (
    Padding,
    Sliding,
    explicit_pads,
    observed,
    output_size,
    to_tuple,
)
from nets.layers.precision import at_least_float32

PerAxis = int | Sequence[int]
"""One number for all spatial axes, or one for each."""

LONG = 32
"""The maximum size of a window along an axis that is reduced by a chain of slices."""


def max_pool(
    x: jax.Array,
    window: PerAxis,
    strides: PerAxis | None = None,
    padding: Padding = "VALID",
    ceil: bool = False,
) -> jax.Array:
    """The maximum of each window, from [B, *spatial, C] to [B, *spatial', C].

    Padding counts as minus infinity. Where several values of a window are equal to the maximum, the
    first in row-major order gets the whole gradient.

        >>> max_pool(jnp.ones((1, 8, 8, 3)), 2).shape
        (1, 4, 4, 3)

    Args:
        x: [B, *spatial, C], of a floating type, with any number of spatial axes.
        window: size of a window.
        strides: distance between neighbouring windows; None means the window's size.
        padding: as in `nets.layers.conv.Conv`, less than the window on each side.
        ceil: whether to add a last window that reaches beyond the padded input, if it starts
            inside the input or its low padding (torch's `ceil_mode`).

    Raises:
        ValueError: window or strides do not fit the axes of x, no window fits into the padded
            input, or a window would contain padding only.
    """
    x, spans = _spans("max pooling", x, window, strides, padding, ceil)
    return _by_axis(x, spans, _maximum)


def sum_pool(
    x: jax.Array,
    window: PerAxis,
    strides: PerAxis | None = None,
    padding: Padding = "VALID",
    ceil: bool = False,
) -> jax.Array:
    """The sum of each window, computed in float32 at least; otherwise as `max_pool`.

    Padding counts as zero.

        >>> sum_pool(jnp.ones((1, 4, 1)), 2).ravel().tolist()
        [2.0, 2.0]
    """
    x, spans = _spans("sum pooling", x, window, strides, padding, ceil)
    return _by_axis(at_least_float32(x), spans, _sum).astype(x.dtype)


def average_pool(
    x: jax.Array,
    window: PerAxis,
    strides: PerAxis | None = None,
    padding: Padding = "VALID",
    ceil: bool = False,
    count_padding: bool = False,
) -> jax.Array:
    """The mean of each window, computed in float32 at least; otherwise as `max_pool`.

        >>> average_pool(jnp.ones((1, 4, 1)), 3, 1, "SAME").ravel().tolist()
        [1.0, 1.0, 1.0, 1.0]

    Args:
        x, window, strides, padding, ceil: as in `max_pool`.
        count_padding: whether zeros of the padding count as values (torch's `count_include_pad`,
            true by default there). Positions that `ceil` adds beyond the padding never count.
    """
    x, spans = _spans("average pooling", x, window, strides, padding, ceil)
    y = _by_axis(at_least_float32(x), spans, _sum)
    for axis, span in enumerate(spans, 1):
        weights = 1 / span.counts(count_padding)
        y = y * weights.astype(y.dtype).reshape(_along(axis, y.ndim))
    return y.astype(x.dtype)


def norm_pool(
    x: jax.Array,
    p: float,
    window: PerAxis,
    strides: PerAxis | None = None,
    padding: Padding = "VALID",
    ceil: bool = False,
) -> jax.Array:
    """The p-norm of each window, (sum |x|^p)^(1/p); otherwise as `max_pool`.

    p = 1 is the sum of |x|, p = inf its maximum. It is computed in float32 at least, and no power
    overflows. The gradient at 0 is 0 for every p. torch's LPPool differs: it sums x^p
    with its sign, and scales up the windows that `ceil` adds.

        >>> norm_pool(jnp.array([[[3.0], [-4.0]]]), p=2, window=2).tolist()
        [[[5.0]]]

    Args:
        p: at least 1; may be infinite.
        x, window, strides, padding, ceil: as in `max_pool`.

    Raises:
        ValueError: p is below 1; or as `max_pool`.
    """
    check_at_least("p", p, 1)
    x, spans = _spans("norm pooling", x, window, strides, padding, ceil)
    join = {1: _sum, math.inf: _maximum}.get(p, functools.partial(_norm, p=p))
    wide = at_least_float32(x)
    magnitude = wide * jnp.sign(wide)  # |x|, with gradient 0 at 0, unlike jnp.abs
    return _by_axis(magnitude, spans, join).astype(x.dtype)


def maxout(x: jax.Array, pieces: int) -> jax.Array:
    """The maximum of every `pieces` neighbouring channels, [..., C] -> [..., C / pieces].

    Goodfellow et al. 2013; the order of channels is that of their code. Of equal values the first
    gets the gradient.

        >>> maxout(jnp.array([[1.0, 2.0, 4.0, 3.0]]), pieces=2).tolist()
        [[2.0, 4.0]]

    Raises:
        ValueError: `pieces` is below 1 or does not divide the channels.
    """
    channels = x.shape[-1]
    check_at_least("pieces", pieces, 1)
    if channels % pieces:
        raise ValueError(f"pieces must divide the {channels} channels of x, got {pieces}")
    span = _Span(channels, pieces, pieces, 0, 0, channels // pieces)
    return _maximum(x, x.ndim - 1, span)


def global_average(x: jax.Array) -> jax.Array:
    """The mean over all positions, [B, *spatial, C] -> [B, C].

    >>> global_average(jnp.ones((2, 8, 8, 3))).shape
    (2, 3)
    """
    return x.mean(axis=tuple(range(1, x.ndim - 1)))


def global_max(x: jax.Array) -> jax.Array:
    """The maximum over all positions, [B, *spatial, C] -> [B, C]; gradients as in `max_pool`.

    >>> global_max(jnp.ones((2, 8, 8, 3))).shape
    (2, 3)
    """
    return max_pool(x, x.shape[1:-1]).reshape(x.shape[0], x.shape[-1])


class _Span(NamedTuple):
    """Windows at `positions` along one axis of `size`, padded by `low` and `high`."""

    size: int
    window: int
    stride: int
    low: int
    high: int
    positions: int

    def counts(self, count_padding: bool) -> np.ndarray:
        """The number of values that each window averages."""
        low, high = (self.low, self.high) if count_padding else (0, 0)
        first = np.arange(self.positions) * self.stride - self.low
        last = np.minimum(first + self.window, self.size + high)
        return last - np.maximum(first, -low)


def _spans(kind, x, window, strides, padding, ceil):
    """x, padded if the padding is circular, and a `_Span` for each spatial axis."""
    rank = x.ndim - 2
    if rank < 1:
        raise ValueError(f"x must be [B, *spatial, C], got shape {list(x.shape)}")
    window = to_tuple(window, rank, "window")
    strides = window if strides is None else to_tuple(strides, rank, "strides")
    pads = explicit_pads(x.shape[1:-1], window, strides, padding, (1,) * rank)
    sizes, around = x.shape[1:-1], pads
    if padding == "CIRCULAR":
        x, pads = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode="wrap"), ((0, 0),) * rank
    spans = []
    for size, w, stride, (low, high) in zip(x.shape[1:-1], window, strides, pads, strict=True):
        if max(low, high) >= w:
            raise ValueError(f"padding must be less than the window, {w}, got {low} and {high}")
        positions = output_size(size, w, stride, (low, high + (stride - 1 if ceil else 0)))
        if ceil and (positions - 1) * stride >= size + low:
            positions -= 1
        spans.append(_Span(size, w, stride, low, high, positions))
    positions = tuple(span.positions for span in spans)
    observed(Sliding(kind, sizes, window, strides, around, (1,) * rank, positions))
    return x, spans


def _by_axis(x, spans, join: Callable) -> jax.Array:
    """Reduces windows along the last spatial axis, then along the one before, and so on."""
    for axis, span in reversed(list(enumerate(spans, 1))):
        x = join(x, axis, span)
    return x


def _maximum(x, axis, span):
    if span.window > LONG:
        return _reduce_window(x, axis, span, -math.inf, lax.max)
    return _first_maximum(x, axis, span)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _first_maximum(x, axis, span):
    return functools.reduce(jnp.maximum, _taps(x, axis, span, -math.inf))


@_first_maximum.defjvp
def _first_maximum_jvp(axis, span, primals, tangents):
    best, *others = _taps(*primals, axis, span, -math.inf)
    index = jnp.zeros(best.shape, jnp.uint8)  # all that is saved for the backward pass
    for i, tap in enumerate(others, 1):
        index = jnp.where(tap > best, jnp.uint8(i), index)
        best = jnp.maximum(best, tap)
    slopes = _taps(*tangents, axis, span, 0.0)
    return best, sum(jnp.where(index == i, slope, 0) for i, slope in enumerate(slopes))


def _sum(x, axis, span):
    if span.window > LONG:
        return _reduce_window(x, axis, span, 0.0, lax.add)
    return sum(_taps(x, axis, span, 0.0))


def _norm(x, axis, span, p):
    """The p-norm of x >= 0."""
    taps, p = _taps(x, axis, span, 0.0), int(p) if p == int(p) else p
    scale = lax.stop_gradient(functools.reduce(jnp.maximum, taps))  # cancels: no gradient
    positive = scale > 0
    scale = jnp.where(positive, scale, 1)
    powers = jnp.where(positive, sum((tap / scale) ** p for tap in taps), 1)
    return jnp.where(positive, scale * powers ** (1 / p), 0)


def _taps(x, axis, span, fill):
    """The first, second, ... value of every window.

    The axis is split into `stride` phases, and each tap is a slice of one: its transpose is a
    concatenation, that of a strided slice would be a scatter. The taps are padded, since they are
    shorter than x; with stride 1 they are not, and x is padded.
    """
    window, stride = span.window, span.stride
    pad = functools.partial(_pad, axis=axis, fill=fill)
    if stride == 1:
        size = span.positions + window - 1
        x = pad(x, span.low, size - span.low - span.size)
        span = span._replace(size=size, low=0)
    needed = span.positions + (window - span.low - 1) // stride
    length = min(needed, -(-span.size // stride))
    x = pad(x, 0, length * stride - span.size)
    x = x.reshape(*x.shape[:axis], length, stride, *x.shape[axis + 1 :])
    phases = [jnp.squeeze(phase, axis + 1) for phase in lax.split(x, (1,) * stride, axis + 1)]
    starts = [divmod(tap - span.low, stride) for tap in range(window)]
    return [pad(phases[phase], -first, first + span.positions - length) for first, phase in starts]


def _reduce_window(x, axis, span, fill, join):
    size = (span.positions - 1) * span.stride + span.window
    x = _pad(x, span.low, size - span.low - span.size, axis, fill)
    window, strides = [1] * x.ndim, [1] * x.ndim
    window[axis], strides[axis] = span.window, span.stride
    return lax.reduce_window(x, np.array(fill, x.dtype), join, window, strides, "VALID")


def _pad(x, low, high, axis, fill):
    """x padded with `fill`, or cut where numbers are negative, at both ends of an axis."""
    pads = [(0, 0, 0)] * x.ndim
    pads[axis] = (low, high, 0)
    return lax.pad(x, np.array(fill, x.dtype), pads)


def _along(axis: int, rank: int) -> tuple[int, ...]:
    return (1,) * axis + (-1,) + (1,) * (rank - axis - 1)
