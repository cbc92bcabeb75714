"""Convolution in one, two and three dimensions, and in the form that suits the device."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.typing import DTypeLike

from nets.layers.conv_cpu import cpu_form, general
from nets.layers.conv_windows import Padding, explicit_pads, output_size, to_tuple

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
            ValueError: the axes of x do not fit the window, it is too large for them, it or F is
                below 1, `groups` does not divide C and F, there is no such padding, stride or
                dilation, or the kernel given is one for another C.
        """
        return self._convolved(x, self.padding)

    def step(self, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step of a stream, x [B, C]: the next carry, and the output [B, F].

        Raises:
            ValueError: the convolution is not causal, or its stride is not 1.
        """
        self._check_stream()
        seen = jnp.concatenate([carry, x[:, None].astype(carry.dtype)], axis=1)
        return seen[:, 1:], self._convolved(seen, "VALID")[:, 0]

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, int]) -> jax.Array:
        """What a stream remembers before step 0, zeros, for inputs of this shape a step, [B, C].

        The inputs that the window still sees, [B, (window - 1) dilation, C].
        """
        self._check_stream()
        (window,), (dilation,) = self.window, to_tuple(self.dilation, 1, "dilation")
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
        if self.padding != "CAUSAL" or to_tuple(self.strides, len(self.window), "strides") != (1,):
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

    On a CPU the form is one of `nets.layers.conv_cpu`, where XLA's own form or its
    gradient is slow; elsewhere all is `lax.conv_general_dilated`.

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
    strides, dilation = to_tuple(strides, rank, "strides"), to_tuple(dilation, rank, "dilation")
    pads = explicit_pads(x.shape[1:-1], window, strides, padding, dilation)
    if padding == "CIRCULAR":
        x, pads = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode="wrap"), ((0, 0),) * rank
    for axis in zip(x.shape[1:-1], window, strides, pads, dilation, strict=True):
        output_size(*axis)
    form = cpu_form(x.shape, kernel.shape, strides, pads, dilation)
    if form is None:
        return general(x, kernel, strides, pads, dilation)
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: form(x, kernel, strides, pads, dilation),
        default=lambda x, kernel: general(x, kernel, strides, pads, dilation),
    )
