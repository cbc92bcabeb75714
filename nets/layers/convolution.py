"""Convolution in one, two and three dimensions, and in the form that suits the device."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.experimental.xla_metadata import set_xla_metadata
from jax.typing import DTypeLike

from nets.layers.window import Padding, each, explicit_pads, output_size, windows

HE = nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")
"""Initialiser of kernels before a ReLU (He et al. 2015), by fan-out as in torchvision."""


class Conv(nn.Module):
    """Convolution of x [B, *spatial, C] by kernel [*window, C / groups, F].

        y[p, f] = b[f] + sum_{t, c} x[p stride + t dilation - low, c] kernel[t, c, f]

    In the words of mathematics this is cross-correlation, as in every library of neural networks;
    with `flip` it is convolution: kernel[t] stands for kernel[window - 1 - t]. There are as many
    spatial axes as the window has.

    A causal convolution of one dimension and stride 1 also runs as a stream, by `step`.

    Attributes:
        features: number of output channels F.
        window: size of the kernel along each axis.
        strides: step between neighbouring outputs, one for all axes or one each.
        padding: zeros around the input. A number: so many on either side of each axis. Pairs: low
            and high for each axis. "SAME": as many as make ceil(size / stride) outputs, the odd
            one high. "VALID": none. "CAUSAL": all low, so that no output sees what comes after it
            (one dimension). "CIRCULAR": as "SAME", but of the other end instead of zeros.
        dilation: distance of neighbouring taps, one for all axes or one each.
        groups: parts of the channels that do not see each other; C of them make it depthwise.
        use_bias: whether there is b.
        flip: whether the kernel is mirrored.
        kernel_init: initialiser of the kernel, whose fan-in is prod(window) C / groups.
        bias_init: initialiser of b.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    features: int
    window: tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: Padding = "SAME"
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    use_bias: bool = True
    flip: bool = False
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, *spatial, C] to [B, *spatial', F].

        Raises:
            ValueError: the axes of x do not fit the window, it is too large for them, it or F is
                below 1, `groups` does not divide C and F, there is no such padding, stride or
                dilation, or the kernel given is one for another C.
        """
        return self._convolved(x, self.padding)

    def step(self, state: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step of a stream, x [B, C]: the next state, and the output [B, F].

        Raises:
            ValueError: the convolution is not causal, or its stride is not 1.
        """
        self._check_stream()
        seen = jnp.concatenate([state, x[:, None].astype(state.dtype)], axis=1)
        return seen[:, 1:], self._convolved(seen, "VALID")[:, 0]

    @nn.nowrap
    def init_state(self, shape: tuple[int, int]) -> jax.Array:
        """What a stream remembers before step 0, zeros, for inputs of this shape a step, [B, C].

        The inputs that the window still sees, [B, (window - 1) dilation, C].
        """
        self._check_stream()
        (window,), (dilation,) = self.window, each(self.dilation, 1, "dilation")
        return jnp.zeros((shape[0], (window - 1) * dilation, shape[1]), self.dtype)

    @nn.compact
    def _convolved(self, x, padding):
        rank, channels = len(self.window), x.shape[-1]
        if x.ndim != rank + 2:
            raise ValueError(f"a window {self.window} takes x of {rank + 2} axes, not {x.shape}")
        if min(self.features, *self.window) < 1:
            raise ValueError(
                f"features={self.features}, window={self.window}: valid are numbers from 1 up"
            )
        if channels % self.groups or self.features % self.groups:
            raise ValueError(
                f"groups={self.groups} must divide the {channels} channels of x and "
                f"features={self.features}"
            )
        if self.has_variable("params", "kernel"):
            taken = self.get_variable("params", "kernel").shape[-2] * self.groups
            if taken != channels:
                raise ValueError(f"weights for {taken} channels, x of {channels}")
        shape = (*self.window, channels // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        if self.flip:
            kernel = jnp.flip(kernel, range(rank))
        y = convolve(x, kernel, self.strides, padding, self.dilation, self.groups)
        if not self.use_bias:
            return y
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        return y + bias.astype(y.dtype).reshape((1,) * (rank + 1) + (-1,))

    @nn.nowrap
    def _check_stream(self):
        if self.padding != "CAUSAL" or each(self.strides, len(self.window), "strides") != (1,):
            raise ValueError(
                "only a causal convolution of stride 1 runs as a stream, not "
                f"padding={self.padding!r}, strides={self.strides}"
            )


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """What `Conv` computes, without bias.

    On a CPU it is put together from matmuls where XLA's own form, or its gradient, is slow: for
    1x1 windows, images smaller than the window, small ones of few channels, groups, and the
    kernel's gradient of many channels. Elsewhere all is `lax.conv_general_dilated`.

    Args:
        x: [B, *spatial, C].
        kernel: [*window, C / groups, F].
        strides, padding, dilation, groups: as in `Conv`.

    Raises:
        ValueError: the kernel does not fit x or the groups, the window not into the padded input,
            or there is no such padding, stride or dilation.
    """
    rank = x.ndim - 2
    *window, channels, features = kernel.shape
    if len(window) != rank or channels * groups != x.shape[-1] or features % groups:
        raise ValueError(f"a kernel {kernel.shape} does not fit x {x.shape} in groups={groups}")
    strides, dilation = each(strides, rank, "strides"), each(dilation, rank, "dilation")
    pads = explicit_pads(x.shape[1:-1], window, strides, padding, dilation)
    if padding == "CIRCULAR":
        x, pads = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode="wrap"), ((0, 0),) * rank
    for axis in zip(x.shape[1:-1], window, strides, pads, dilation, strict=True):
        output_size(*axis)
    form = _cpu_form(x.shape, kernel.shape, strides, pads, dilation)
    if form is None:
        return _general(x, kernel, strides, pads, dilation)
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: form(x, kernel, strides, pads, dilation),
        default=lambda x, kernel: _general(x, kernel, strides, pads, dilation),
    )


def layout(rank: int) -> lax.ConvDimensionNumbers:
    """[B, *spatial, C] by [*window, C, F], for `lax.conv_general_dilated`."""
    spatial = range(rank)
    channels_last = (0, rank + 1, *(axis + 1 for axis in spatial))
    return lax.ConvDimensionNumbers(channels_last, (rank + 1, rank, *spatial), channels_last)


def _general(x, kernel, strides, pads, dilation):
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=layout(len(strides)),
        feature_group_count=x.shape[-1] // kernel.shape[-2],
    )


def _cpu_form(x_shape, kernel_shape, strides, pads, dilation):
    """What is faster than the general form on a CPU, if there is anything. Limits are measured."""
    *window, inner, features = kernel_shape
    *sizes, channels = x_shape[1:]
    taps = math.prod(window)
    if 1 < inner < channels <= 4 * inner:
        return _by_groups
    if inner < channels:
        return _tap_by_tap if taps <= 64 else None  # hundreds of them take long to compile
    if set(window) == {1} and not np.any(pads):
        return _pointwise
    if taps <= 64 and any(n < side for n, side in zip(sizes, window, strict=True)):
        return _tap_by_tap  # the general form takes some 40 times as long there
    row = sizes[-1]
    few = channels % 8 and features <= 16 and row * channels <= 144 and row <= 7 * window[-1]
    if len(window) == 2 and few and set(dilation) == {1}:
        return _banded
    return _channels_last


def _pointwise(x, kernel, strides, pads, dilation):
    """A 1x1 window: one matmul."""
    x = x[:, *(slice(None, None, s) for s in strides)]
    y = x.reshape(-1, x.shape[-1]) @ kernel.reshape(kernel.shape[-2:])
    return y.reshape(*x.shape[:-1], -1)


def _banded(x, kernel, strides, pads, dilation):
    """One matmul of whole rows, [B H', h W C] by [h W C, W' F], the kernel laid out as a band.

    That is W / w times the arithmetic, and still faster where W, C and F are small.
    """
    batch, _, columns, channels = x.shape
    height, width, _, features = kernel.shape
    columns_out = output_size(columns, width, strides[1], pads[1])
    # Output column v meets input column u through tap t where u = stride * v + t - padding.
    u, v, t = np.ogrid[:columns, :columns_out, :width]
    taps = (u == strides[1] * v + t - pads[1][0]).astype(kernel.dtype)
    band = jnp.einsum("uvt,itco->iucvo", taps, kernel)
    rows = x.reshape(batch, -1, columns * channels)
    rows = jnp.concatenate(windows(rows, (height,), strides[:1], pads[:1], (1,)), axis=-1)
    y = rows.reshape(-1, rows.shape[-1]) @ band.reshape(-1, columns_out * features)
    return y.reshape(batch, -1, columns_out, features)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _channels_last(x, kernel, strides, pads, dilation):
    """The general form, whose gradients are convolutions of channels last too.

    Its own are not, and XLA turns them around: on a CPU only outside of loops (inside they take a
    hundred times as long), and together with all that made their operands, computed once more.
    """
    return _general(x, kernel, strides, pads, dilation)


@functools.partial(_channels_last.defjvp, symbolic_zeros=True)
def _channels_last_jvp(strides, pads, dilation, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    terms = []
    with set_xla_metadata(inlineable="false"):  # or XLA would fuse them with what is around them
        if not isinstance(dx, SymbolicZero):
            terms.append(_of_input(dx, kernel, strides, pads, dilation))
        if not isinstance(dkernel, SymbolicZero):
            terms.append(_of_kernel(x, dkernel, strides, pads, dilation))
    return _channels_last(x, kernel, strides, pads, dilation), sum(terms)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _of_input(dx, kernel, strides, pads, dilation):
    """Transposed it is a convolution of dy [B, *spatial, F] by [*window, F, C]."""
    spec = layout(len(strides))
    out, inner, *window = spec.rhs_spec
    spec = spec._replace(rhs_spec=(inner, out, *window))
    kernel = kernel.swapaxes(-1, -2)
    return lax.conv_general_dilated(dx, kernel, strides, pads, None, dilation, spec)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _of_kernel(x, dkernel, strides, pads, dilation):
    """Transposed it is a convolution of x [C, *spatial, B] by dy [*spatial, B, F]."""
    (batch, last, *spatial), (out, inner, *window), _ = layout(rank := len(strides))
    first = (last, batch, *spatial)
    spec = lax.ConvDimensionNumbers(first, first, (inner, out, *window))
    x, dkernel = jnp.swapaxes(x, 0, -1), jnp.moveaxis(dkernel, -2, 0)
    dy = lax.conv_general_dilated(x, dkernel, strides, pads, None, dilation, spec)
    return jnp.moveaxis(dy, rank, 0)


@functools.partial(jax.checkpoint, static_argnums=(2, 3, 4), prevent_cse=False)
def _tap_by_tap(x, kernel, strides, pads, dilation):
    """The sum over the taps of a matmul for each group, or a product if its channels are one.

    What the taps see is not kept for the gradient.
    """
    *window, inner, features = kernel.shape
    groups = x.shape[-1] // inner
    if inner == 1:
        x = jnp.repeat(x, features // groups, axis=-1)

    def product(seen, tap):
        if inner == 1:
            return seen * tap.reshape((1,) * (x.ndim - 1) + (-1,))
        seen = seen.reshape(*seen.shape[:-1], groups, inner)
        y = jnp.einsum("...gc,cgf->...gf", seen, tap.reshape(inner, groups, -1))
        return y.reshape(*y.shape[:-2], features)

    taps = lax.split(kernel.reshape(-1, inner, features), (1,) * math.prod(window))
    return sum(map(product, windows(x, window, strides, pads, dilation), taps))


def _by_groups(x, kernel, strides, pads, dilation):
    """A convolution for each of a few groups."""
    groups = x.shape[-1] // kernel.shape[-2]
    parts = list(zip(*(jnp.split(a, groups, axis=-1) for a in (x, kernel)), strict=True))
    form = _cpu_form(*(a.shape for a in parts[0]), strides, pads, dilation) or _general
    return jnp.concatenate([form(*part, strides, pads, dilation) for part in parts], axis=-1)
