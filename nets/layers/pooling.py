"""Pooling: joining the values that a window sees, channel by channel.

Windows are joined axis by axis, each axis as a chain of slices, forwards and backwards. On a CPU
the gradient of a maximum is some 20 times faster so than that of `lax.reduce_window`, which is
left for windows of more than `LONG`.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nets.layers.conv_windows import Padding, explicit_pads, output_size, to_tuple

Each = int | Sequence[int]
"""One number for all spatial axes, or one for each."""

LONG = 32
"""Up to which size along an axis a window is a chain of slices."""


def max_pool(
    x: jax.Array,
    window: Each,
    strides: Each | None = None,
    padding: Padding = "VALID",
    ceil: bool = False,
) -> jax.Array:
    """The greatest value of each window; x [B, *spatial, C] gives [B, *places, C].

    Padding counts as minus infinity. Where several values are the greatest, the first of them, in
    row-major order, takes the whole gradient.

    Args:
        x: [B, *spatial, C], of a floating type, with any number of spatial axes.
        window: size of a window; windows overlap where it is greater than the stride.
        strides: step between neighbouring windows; None for the window's size.
        padding: as in `nets.layers.conv.Conv`, less than the window on either side.
        ceil: whether a last window that reaches beyond the padded input counts too, provided that
            it starts inside the input or its low padding (torch's `ceil_mode`).

    Raises:
        ValueError: window or strides do not fit the axes of x, there is no place for a window, or
            one would see nothing but padding.
    """
    x, spans = _spans(x, window, strides, padding, ceil)
    return _by_axis(x, spans, _greatest)


def sum_pool(
    x: jax.Array,
    window: Each,
    strides: Each | None = None,
    padding: Padding = "VALID",
    ceil: bool = False,
) -> jax.Array:
    """The sum of each window, added in float32 at least; otherwise as `max_pool`.

    Padding counts as zero.
    """
    x, spans = _spans(x, window, strides, padding, ceil)
    return _by_axis(_wide(x), spans, _sum).astype(x.dtype)


def average_pool(
    x: jax.Array,
    window: Each,
    strides: Each | None = None,
    padding: Padding = "VALID",
    ceil: bool = False,
    count_padding: bool = False,
) -> jax.Array:
    """The mean of each window, computed in float32 at least; otherwise as `max_pool`.

    Args:
        x, window, strides, padding, ceil: as in `max_pool`.
        count_padding: whether the padding's zeros count as values (torch's `count_include_pad`,
            which is true there by default). What `ceil` adds beyond the padding never counts.
    """
    x, spans = _spans(x, window, strides, padding, ceil)
    y = _by_axis(_wide(x), spans, _sum)
    for axis, span in enumerate(spans, 1):
        shares = 1 / span.counts(count_padding)
        y = y * shares.astype(y.dtype).reshape(_along(axis, y.ndim))
    return y.astype(x.dtype)


def norm_pool(
    x: jax.Array,
    p: float,
    window: Each,
    strides: Each | None = None,
    padding: Padding = "VALID",
    ceil: bool = False,
) -> jax.Array:
    """The p-norm of each window, (sum |x|^p)^(1/p); otherwise as `max_pool`.

    p = 1 is the sum of |x|, p = inf its maximum. It is computed in float32 at least, and no power
    overflows. Zeros have no slope, whatever p. torch's LPPool differs: it sums x^p
    with its sign, and scales up those windows that `ceil` adds.

    Args:
        p: at least 1; may be infinite.
        x, window, strides, padding, ceil: as in `max_pool`.

    Raises:
        ValueError: p is below 1; or as `max_pool`.
    """
    if not p >= 1:
        raise ValueError(f"p={p}: a norm's exponent is at least 1")
    x, spans = _spans(x, window, strides, padding, ceil)
    join = {1: _sum, math.inf: _greatest}.get(p, functools.partial(_norm, p=p))
    wide = _wide(x)
    magnitude = wide * jnp.sign(wide)  # unlike jnp.abs without a slope at 0
    return _by_axis(magnitude, spans, join).astype(x.dtype)


def maxout(x: jax.Array, pieces: int) -> jax.Array:
    """The greatest of every `pieces` neighbouring channels, [..., C] -> [..., C / pieces].

    Goodfellow et al. 2013; the channels' order is their code's. Among equals the first takes the
    gradient.

    Raises:
        ValueError: `pieces` does not divide the channels.
    """
    channels = x.shape[-1]
    if pieces < 1 or channels % pieces:
        raise ValueError(f"pieces={pieces} must divide the {channels} channels of x")
    span = _Span(channels, pieces, pieces, 0, 0, channels // pieces)
    return _greatest(x, x.ndim - 1, span)


def global_average(x: jax.Array) -> jax.Array:
    """The mean over all places, [B, *spatial, C] -> [B, C]."""
    return x.mean(axis=tuple(range(1, x.ndim - 1)))


def global_max(x: jax.Array) -> jax.Array:
    """The greatest over all places, [B, *spatial, C] -> [B, C]; gradients as in `max_pool`."""
    return max_pool(x, x.shape[1:-1]).reshape(x.shape[0], x.shape[-1])


class _Span(NamedTuple):
    """Windows along one axis of `size` places padded by `low` and `high`."""

    size: int
    window: int
    stride: int
    low: int
    high: int
    places: int

    def counts(self, count_padding: bool) -> np.ndarray:
        """How many values each window averages."""
        low, high = (self.low, self.high) if count_padding else (0, 0)
        first = np.arange(self.places) * self.stride - self.low
        last = np.minimum(first + self.window, self.size + high)
        return last - np.maximum(first, -low)


def _spans(x, window, strides, padding, ceil):
    """x, padded already where that is circular, and a `_Span` for each spatial axis."""
    rank = x.ndim - 2
    if rank < 1:
        raise ValueError(f"x is [B, *spatial, C], not {list(x.shape)}")
    window = to_tuple(window, rank, "window")
    strides = window if strides is None else to_tuple(strides, rank, "strides")
    pads = explicit_pads(x.shape[1:-1], window, strides, padding, (1,) * rank)
    if padding == "CIRCULAR":
        x, pads = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode="wrap"), ((0, 0),) * rank
    spans = []
    for size, w, stride, (low, high) in zip(x.shape[1:-1], window, strides, pads, strict=True):
        if max(low, high) >= w:
            raise ValueError(f"padding {low} and {high} must be less than the window, {w}")
        places = output_size(size, w, stride, (low, high + (stride - 1 if ceil else 0)))
        if ceil and (places - 1) * stride >= size + low:
            places -= 1
        spans.append(_Span(size, w, stride, low, high, places))
    return x, spans


def _by_axis(x, spans, join: Callable) -> jax.Array:
    """Joins windows along the last spatial axis, then along the one before, and so on."""
    for axis, span in reversed(list(enumerate(spans, 1))):
        x = join(x, axis, span)
    return x


def _greatest(x, axis, span):
    if span.window > LONG:
        return _reduce_window(x, axis, span, -math.inf, lax.max)
    return _first_greatest(x, axis, span)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _first_greatest(x, axis, span):
    return functools.reduce(jnp.maximum, _taps(x, axis, span, -math.inf))


@_first_greatest.defjvp
def _first_greatest_jvp(axis, span, primals, tangents):
    best, *others = _taps(*primals, axis, span, -math.inf)
    chosen = jnp.zeros(best.shape, jnp.uint8)  # all that the gradient keeps
    for i, tap in enumerate(others, 1):
        chosen = jnp.where(tap > best, jnp.uint8(i), chosen)
        best = jnp.maximum(best, tap)
    slopes = _taps(*tangents, axis, span, 0.0)
    return best, sum(jnp.where(chosen == i, slope, 0) for i, slope in enumerate(slopes))


def _sum(x, axis, span):
    if span.window > LONG:
        return _reduce_window(x, axis, span, 0.0, lax.add)
    return sum(_taps(x, axis, span, 0.0))


def _norm(x, axis, span, p):
    """The p-norm of x >= 0."""
    taps, p = _taps(x, axis, span, 0.0), int(p) if p == int(p) else p
    scale = lax.stop_gradient(functools.reduce(jnp.maximum, taps))  # cancels, so has no slope
    some = scale > 0
    scale = jnp.where(some, scale, 1)
    powers = jnp.where(some, sum((tap / scale) ** p for tap in taps), 1)
    return jnp.where(some, scale * powers ** (1 / p), 0)


def _taps(x, axis, span, fill):
    """What the first, second, ... place of every window holds.

    The axis is dealt out to as many phases as the stride has steps, of which a tap is a part:
    transposed that is a concatenation, where strided slices would be scattered. Padding goes to
    the taps, which are shorter than x; with a stride of 1 they are not, and it goes to x.
    """
    window, stride = span.window, span.stride
    pad = functools.partial(_pad, axis=axis, fill=fill)
    if stride == 1:
        size = span.places + window - 1
        x = pad(x, span.low, size - span.low - span.size)
        span = span._replace(size=size, low=0)
    seen = span.places + (window - span.low - 1) // stride
    length = min(seen, -(-span.size // stride))
    x = pad(x, 0, length * stride - span.size)
    x = x.reshape(*x.shape[:axis], length, stride, *x.shape[axis + 1 :])
    phases = [jnp.squeeze(phase, axis + 1) for phase in lax.split(x, (1,) * stride, axis + 1)]
    places = [divmod(tap - span.low, stride) for tap in range(window)]
    return [pad(phases[phase], -first, first + span.places - length) for first, phase in places]


def _reduce_window(x, axis, span, fill, join):
    size = (span.places - 1) * span.stride + span.window
    x = _pad(x, span.low, size - span.low - span.size, axis, fill)
    window, strides = [1] * x.ndim, [1] * x.ndim
    window[axis], strides[axis] = span.window, span.stride
    return lax.reduce_window(x, np.array(fill, x.dtype), join, window, strides, "VALID")


def _pad(x, low, high, axis, fill):
    """x with so much more, or less, at either end of an axis."""
    pads = [(0, 0, 0)] * x.ndim
    pads[axis] = (low, high, 0)
    return lax.pad(x, np.array(fill, x.dtype), pads)


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _along(axis: int, rank: int) -> tuple[int, ...]:
    return (1,) * axis + (-1,) + (1,) * (rank - axis - 1)
