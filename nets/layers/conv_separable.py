"""Depthwise separable convolution."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import Conv
from nets.layers.conv_windows import Padding


class SeparableConv(nn.Module):
    """A window over each channel of x [B, *spatial, C] by itself, then a 1x1 convolution.

    `depthwise` is a `Conv` of C multiplier channels in C groups, without bias; `pointwise` one of
    window 1 with `features` channels, which has the only bias. Nothing is between them (Chollet
    2017); where a net has a norm or an activation there (Howard et al. 2017), it has two `Conv`s.

    A causal one of one dimension and stride 1 also runs as a stream, by `step`.

    Attributes:
        features: number of output channels.
        window: size of the kernel along each axis; there are as many spatial axes.
        strides: step between neighbouring outputs, one for all axes or one each.
        padding: as in `Conv`.
        dilation: distance of neighbouring taps, one for all axes or one each.
        multiplier: channels that each channel of x is made into before they are mixed.
        use_bias: whether there is a bias.
        kernel_init: initialiser of both kernels.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    window: tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: Padding = "SAME"
    dilation: int | tuple[int, ...] = 1
    multiplier: int = 1
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, *spatial, C] to [B, *spatial', features].

        Raises:
            ValueError: as `Conv`.
        """
        return self._convolved(x, None)[1]

    def step(self, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step of a stream, x [B, C]: the next carry, and the output [B, features].

        Raises:
            ValueError: the convolution is not causal, or its stride is not 1.
        """
        return self._convolved(x, carry)

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, int]) -> jax.Array:
        """What a stream remembers before step 0, as `Conv.initial_carry`."""
        return self._depthwise(shape[1], parent=None).initial_carry(shape)

    @nn.compact
    def _convolved(self, x, carry):
        depthwise = self._depthwise(x.shape[-1], name="depthwise")
        one = (1,) * len(self.window)
        pointwise = self._conv(self.features, one, use_bias=self.use_bias, name="pointwise")
        if carry is None:
            return None, pointwise(depthwise(x))
        carry, y = depthwise.step(carry, x)
        return carry, pointwise(y[:, None])[:, 0]

    @nn.nowrap
    def _depthwise(self, channels, **options):
        return self._conv(
            channels * self.multiplier,
            self.window,
            self.strides,
            self.padding,
            self.dilation,
            groups=channels,
            use_bias=False,
            **options,
        )

    @nn.nowrap
    def _conv(self, *args, **options):
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return Conv(*args, kernel_init=self.kernel_init, **dtypes, **options)
