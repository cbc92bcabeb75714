"""Depthwise separable convolution."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import Conv
from nets.layers.conv_windows import Padding


class SeparableConv(nn.Module):
    """A depthwise convolution of x [B, *spatial, C], then a 1x1 convolution (Chollet 2017).

    `depthwise` is a `Conv` with C multiplier channels in C groups, without bias; `pointwise` is a
    `Conv` with window 1, and has the only bias. Nothing is between them: a net with a normalisation
    or an activation there (Howard et al. 2017) uses two `Conv`s.

    A causal one of one dimension and stride 1 also runs on a stream, by `step`.

        >>> x = jnp.ones((1, 8, 8, 3))
        >>> jax.eval_shape(SeparableConv(4, (3, 3)).init_with_output, jax.random.key(0), x)[0].shape
        (1, 8, 8, 4)

    Attributes:
        features: number of output channels.
        window: size of the kernel along each axis.
        strides, padding, dilation: as in `Conv`.
        multiplier: number of depthwise output channels for each channel of x.
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
        """One step of a stream, x [B, C]: the next carry and the output [B, features].

        Raises:
            ValueError: the convolution is not causal, or its stride is not 1.
        """
        return self._convolved(x, carry)

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> jax.Array:
        """The carry before the first step, as `Conv.initial_carry`."""
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
