"""Convolution in any number of dimensions, by the algorithm that is fastest on the device."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least
from nets.layers.conv_cpu import cpu_algorithm, xla_conv
from nets.layers.conv_windows import (
    Padding,
    Sliding,
    check_axes,
    explicit_pads,
    observed,
    output_size,
    to_tuple,
)

HE = nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")
"""Initialiser of kernels followed by a ReLU (He et al. 2015), by fan-out as in torchvision."""


class Conv(nn.Module):
    """Convolution of x [B, *spatial, C] by kernel [*window, C / groups, F].

        y[p, f] = b[f] + sum_{t, c} x[p stride + t dilation - low, c] kernel[t, c, f]

    This is a cross-correlation, as in other libraries of neural networks; with `flip` the kernel is
    mirrored, which makes it a convolution in the mathematical sense. The number of spatial axes is
    the length of `window`.

    A causal convolution of one dimension and stride 1 also runs on a stream, one step at a time, by
    `step`.

        >>> x = jnp.ones((1, 8, 8, 3))
        >>> jax.eval_shape(Conv(4, (3, 3)).init_with_output, jax.random.key(0), x)[0].shape
        (1, 8, 8, 4)

    Attributes:
        features: number of output channels F.
        window: size of the kernel along each axis.
        strides: distance between the windows of neighbouring outputs, one for all axes or one each.
        padding: zeros around the input. A number: on both sides of each axis. Pairs: low and high
            for each axis. "SAME": for ceil(size / stride) outputs, an odd one high. "VALID": none.
            "CAUSAL": all low, so that no output depends on later inputs (one dimension).
            "CIRCULAR": as "SAME", filled with the opposite end of the input instead of zeros.
        dilation: distance between neighbouring taps, one for all axes or one each.
        groups: number of groups of channels, convolved separately; C groups are depthwise.
        use_bias: whether there is b.
        flip: whether the kernel is mirrored.
        kernel_init: initialiser of the kernel; the fan-in is prod(window) C / groups.
        bias_init: initialiser of b.
        dtype: computation dtype.
        param_dtype: parameter dtype.
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
            ValueError: x has another number of axes than the window needs, the window does not fit
                into x, a field is out of its range, `groups` does not divide C and F, or the kernel
                was initialised for another C.
        """
        return self._convolved(x, self.padding)

    def step(self, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step of a stream, x [B, C]: the next carry and the output [B, F].

        Raises:
            ValueError: the convolution is not causal, or its stride is not 1.
        """
        self._check_stream()
        inputs = jnp.concatenate([carry, x[:, None].astype(carry.dtype)], axis=1)
        return inputs[:, 1:], self._convolved(inputs, "VALID")[:, 0]

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> jax.Array:
        """The carry before the first step, zeros, for inputs of this shape in one step, [B, C].

        The carry is the last inputs, [B, (window - 1) dilation, C], in the computation dtype.
        """
        self._check_stream()
        (window,), (dilation,) = self.window, to_tuple(self.dilation, 1, "dilation")
        return jnp.zeros((shape[0], (window - 1) * dilation, shape[1]), self.dtype)

    @nn.compact
    def _convolved(self, x, padding):
        rank, channels = len(self.window), x.shape[-1]
        check_axes(x, self.window)
        check_at_least("features", self.features, 1)
        check_at_least("groups", self.groups, 1)
        if channels % self.groups or self.features % self.groups:
            raise ValueError(
                f"groups must divide the {channels} channels of x and features={self.features}, "
                f"got {self.groups}"
            )
        if self.has_variable("params", "kernel"):
            initialised = self.get_variable("params", "kernel").shape[-2] * self.groups
            if initialised != channels:
                raise ValueError(
                    f"x must have {initialised} channels, those of the kernel, got {channels}"
                )
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
        if self.padding != "CAUSAL" or to_tuple(self.strides, len(self.window), "strides") != (1,):
            raise ValueError(
                "a stream needs padding='CAUSAL' and strides=1 in one dimension, "
                f"got padding={self.padding!r}, strides={self.strides}, window={self.window}"
            )


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """`Conv` as a function, without bias.

    On a CPU, where XLA's convolution or its gradient is slow, it is an algorithm of
    `nets.layers.conv_cpu`; elsewhere it is `lax.conv_general_dilated`.

        >>> convolve(jnp.ones((1, 3, 1)), jnp.ones((3, 1, 1)), padding="VALID").tolist()
        [[[3.0]]]

    Args:
        x: [B, *spatial, C].
        kernel: [*window, C / groups, F].
        strides, padding, dilation, groups: as in `Conv`.

    Raises:
        ValueError: the shapes of kernel and x or the groups do not fit, the window does not fit
            into the padded input, or padding, strides or dilation is invalid.
    """
    rank = x.ndim - 2
    *window, channels, features = kernel.shape
    if len(window) != rank or channels * groups != x.shape[-1] or features % groups:
        raise ValueError(
            f"kernel must be [*window, C / groups, F] for x {list(x.shape)} and groups={groups}, "
            f"got shape {list(kernel.shape)}"
        )
    strides, dilation = to_tuple(strides, rank, "strides"), to_tuple(dilation, rank, "dilation")
    pads = explicit_pads(x.shape[1:-1], window, strides, padding, dilation)
    axes = x.shape[1:-1], tuple(window), strides, pads, dilation
    positions = tuple(output_size(*axis) for axis in zip(*axes, strict=True))
    observed(Sliding("convolution", *axes, positions))
    if padding == "CIRCULAR":
        x, pads = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode="wrap"), ((0, 0),) * rank
    algorithm = cpu_algorithm(x.shape, kernel.shape, strides, pads, dilation)
    if algorithm is None:
        return xla_conv(x, kernel, strides, pads, dilation)
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: algorithm(x, kernel, strides, pads, dilation),
        default=lambda x, kernel: xla_conv(x, kernel, strides, pads, dilation),
    )
