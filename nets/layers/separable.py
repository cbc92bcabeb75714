"""Depthwise separable convolution."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.convolution import Conv
from nets.layers.window import Padding


class SeparableConv(nn.Module):
    """A window over each channel of x [B, *spatial, C] by itself, then a 1x1 convolution.

    `depthwise` is a `Conv` of C multiplier channels in C groups, without bias; `pointwise` one of
    window 1 with `features` channels, which has the only bias. Nothing is between them (Chollet
    2017); where a net has a norm or an activation there (Howard et al. 2017), it has two `Conv`s.

    Attributes:
        features: number of output channels.
        window: size of the kernel along each axis; there are as many spatial axes.
        strides: step between neighbouring outputs, one for all axes or one each.
        padding: as in `Conv`.
        dilation: distance of neighbouring taps, one for all axes or one each.
        multiplier: channels that each channel of x is made into before they are mixed.
        use_bias: whether there is a bias.
        kernel_init: initialiser of both kernels.
        dtype: what it computes in.
        param_dtype: what it stores.
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

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, *spatial, C] to [B, *spatial', features].

        Raises:
            ValueError: as `Conv`.
        """
        conv = functools.partial(
            Conv, kernel_init=self.kernel_init, dtype=self.dtype, param_dtype=self.param_dtype
        )
        channels = x.shape[-1]
        x = conv(
            channels * self.multiplier,
            self.window,
            self.strides,
            self.padding,
            self.dilation,
            groups=channels,
            use_bias=False,
            name="depthwise",
        )(x)
        one = (1,) * len(self.window)
        return conv(self.features, one, use_bias=self.use_bias, name="pointwise")(x)
