"""CPU algorithms of a convolution: the same result as XLA's own operation, in less time.

An algorithm is a function of x [B, *spatial, C], kernel [*window, C / groups, F], strides, pads and
dilation.
"""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from nets.layers.conv_windows import Pads, output_size, patches
from nets.layers.noinline import noinline


def layout(rank: int) -> lax.ConvDimensionNumbers:
    """Dimension numbers of [B, *spatial, C] and [*window, C, F]."""
    spatial = range(rank)
    channels_last = (0, rank + 1, *(axis + 1 for axis in spatial))
    return lax.ConvDimensionNumbers(channels_last, (rank + 1, rank, *spatial), channels_last)


def xla_conv(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    pads: Pads,
    dilation: Sequence[int],
) -> jax.Array:
    """XLA's own convolution of x [B, *spatial, C] and kernel [*window, C / groups, F]."""
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=layout(len(strides)),
        feature_group_count=x.shape[-1] // kernel.shape[-2],
    )


def cpu_algorithm(
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    pads: Pads,
    dilation: Sequence[int],
) -> Callable[..., jax.Array] | None:
    """The fastest algorithm on a CPU, by measured limits; None means `xla_conv`."""
    *window, inner, features = kernel_shape
    *sizes, channels = x_shape[1:]
    taps = math.prod(window)
    if 1 < inner < channels:
        return _by_groups
    if inner < channels:
        return _depthwise if taps <= 64 else None  # hundreds of taps compile slowly
    if set(window) == {1} and not np.any(pads):
        return _pointwise
    if tuple(window) == tuple(sizes) and not np.any(pads):
        return _whole
    if taps <= 64 and any(n < side for n, side in zip(sizes, window, strict=True)):
        return _tap_by_tap  # `xla_conv` takes some 40 times as long there
    row = sizes[-1]
    few = channels % 8 and features <= 16 and row * channels <= 144 and row <= 7 * window[-1]
    if len(window) == 2 and few and set(dilation) == {1}:
        return _banded
    axes = zip(sizes, window, strides, pads, dilation, strict=True)
    if any(output_size(*axis) > axis[0] for axis in axes):
        return _padded_first
    return _channels_last


def _pointwise(x, kernel, strides, pads, dilation):
    """One matmul, for a window of size 1."""
    x = x[:, *(slice(None, None, s) for s in strides)]
    y = x.reshape(-1, x.shape[-1]) @ kernel.reshape(kernel.shape[-2:])
    return y.reshape(*x.shape[:-1], -1)


def _whole(x, kernel, strides, pads, dilation):
    """One matmul, for a window as large as x, which has one position."""
    y = x.reshape(len(x), -1) @ kernel.reshape(-1, kernel.shape[-1])
    return y.reshape(len(x), *(1 for _ in strides), -1)


def _banded(x, kernel, strides, pads, dilation):
    """One matmul of whole rows, [B H', h W C] by [h W C, W' F], where the kernel is a band matrix.

    This takes W / w times the arithmetic, and is still faster where W, C and F are small.
    """
    batch, _, columns, channels = x.shape
    height, width, _, features = kernel.shape
    columns_out = output_size(columns, width, strides[1], pads[1])
    # output column v depends on input column u by tap t, where u = stride * v + t - padding
    u, v, t = np.ogrid[:columns, :columns_out, :width]
    taps = (u == strides[1] * v + t - pads[1][0]).astype(kernel.dtype)
    band = jnp.einsum("uvt,itco->iucvo", taps, kernel)
    rows = x.reshape(batch, -1, columns * channels)
    rows = jnp.concatenate(patches(rows, (height,), strides[:1], pads[:1], (1,)), axis=-1)
    y = rows.reshape(-1, rows.shape[-1]) @ band.reshape(-1, columns_out * features)
    return y.reshape(batch, -1, columns_out, features)


def _not_inlined(function):
    """A call that is not inlined, whose inner values are not saved for the backward pass.

    XLA would fuse its operations with those of its operands, and so compute the operands twice.
    """
    static = (2, 3, 4)
    return noinline(jax.checkpoint(function, prevent_cse=False, static_argnums=static), static)


@functools.partial(jax.checkpoint, static_argnums=(2, 3, 4), prevent_cse=False)
def _tap_by_tap(x, kernel, strides, pads, dilation):
    """The sum over the taps of a matmul; the patches are not saved for the backward pass."""
    *window, inner, features = kernel.shape
    taps = kernel.reshape(-1, inner, features)
    product = functools.partial(jnp.einsum, "...c,cf->...f")
    return sum(map(product, patches(x, window, strides, pads, dilation), taps))


@_not_inlined
def _of_input(dx, kernel, strides, pads, dilation):
    """The derivative along dx; its transpose is a convolution of dy by [*window, F, C]."""
    spec = layout(len(strides))
    out, inner, *window = spec.rhs_spec
    spec = spec._replace(rhs_spec=(inner, out, *window))
    kernel = kernel.swapaxes(-1, -2)
    return lax.conv_general_dilated(dx, kernel, strides, pads, None, dilation, spec)


@_not_inlined
def _of_kernel(x, dkernel, strides, pads, dilation):
    """The derivative along dkernel; its transpose is a convolution of x [C, *spatial, B] by dy
    [*spatial, B, F]."""
    (batch, last, *spatial), (out, inner, *window), _ = layout(rank := len(strides))
    first = (last, batch, *spatial)
    spec = lax.ConvDimensionNumbers(first, first, (inner, out, *window))
    x, dkernel = jnp.swapaxes(x, 0, -1), jnp.moveaxis(dkernel, -2, 0)
    dy = lax.conv_general_dilated(x, dkernel, strides, pads, None, dilation, spec)
    return jnp.moveaxis(dy, rank, 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _channels_last(x, kernel, strides, pads, dilation):
    """`xla_conv`, whose gradients are convolutions with channels last, too.

    Its own gradients have another layout. XLA transposes them, on a CPU only outside of loops:
    inside a loop they take a hundred times as long.
    """
    return xla_conv(x, kernel, strides, pads, dilation)


@functools.partial(_channels_last.defjvp, symbolic_zeros=True)
def _channels_last_jvp(strides, pads, dilation, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    terms = []
    if not isinstance(dx, SymbolicZero):
        terms.append(_of_input(dx, kernel, strides, pads, dilation))
    if not isinstance(dkernel, SymbolicZero):
        terms.append(_of_kernel(x, dkernel, strides, pads, dilation))
    return _channels_last(x, kernel, strides, pads, dilation), sum(terms)


def _padded_first(x, kernel, strides, pads, dilation):
    """`_channels_last` of x with its zeros around.

    Where there are more outputs than inputs, the gradient by the kernel has a window that is larger
    than its input, and XLA takes some ten times as long for it.
    """
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    return _channels_last(x, kernel, strides, ((0, 0),) * len(pads), dilation)


def _depthwise(x, kernel, strides, pads, dilation):
    """Each channel is convolved with its own kernels."""
    *window, _, features = kernel.shape
    x = jnp.repeat(x, features // x.shape[-1], axis=-1)
    return _products(x, kernel.reshape(*window, features), strides, pads, dilation)


@_not_inlined
def _products(x, kernel, strides, pads, dilation):
    """The sum over the taps of products of x [B, *spatial, F] and kernel [*window, F]."""
    *window, features = kernel.shape
    taps = kernel.reshape(-1, *(1,) * (x.ndim - 1), features)
    return sum(map(jnp.multiply, patches(x, window, strides, pads, dilation), taps))


def _by_groups(x, kernel, strides, pads, dilation):
    """One convolution for several groups together, so that it is wide enough to be fast.

    Its kernel is zero between groups: more arithmetic, but less time than one call per group.
    """
    *window, inner, features = kernel.shape
    groups = x.shape[-1] // inner
    joined = max(n for n in range(1, groups + 1) if groups % n == 0 and n * inner <= max(inner, 64))
    blocks = groups // joined
    diagonal = jnp.eye(joined, dtype=kernel.dtype).reshape(
        *(1,) * len(window), joined, 1, 1, joined, 1
    )
    kernel = kernel.reshape(*window, 1, inner, blocks, joined, -1) * diagonal
    kernel = kernel.reshape(*window, joined * inner, features)
    parts = list(zip(*(jnp.split(a, blocks, axis=-1) for a in (x, kernel)), strict=True))
    algorithm = cpu_algorithm(*(a.shape for a in parts[0]), strides, pads, dilation)
    return jnp.concatenate([algorithm(*part, strides, pads, dilation) for part in parts], axis=-1)
