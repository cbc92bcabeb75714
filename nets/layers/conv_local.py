"""Locally connected layers: a convolution with its own weights at each position."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax.typing import DTypeLike

from nets.layers.conv_windows import (
    Padding,
    Sliding,
    check_axes,
    explicit_pads,
    observed,
    patches,
    to_tuple,
)


class LocallyConnected(nn.Module):
    """A convolution of x [B, *spatial, C] with a separate kernel at each output position.

        y[p, f] = b[p, f] + sum_{t, c} x[p stride + t - low, c] kernel[p, t c, f]

    The kernel is [*spatial', prod(window) C, F]; its rows are the taps in order, all channels of
    the first tap first. b is [*spatial', F]. So the parameters fit one image size only.

        >>> layer, x = LocallyConnected(4, (3, 3)), jnp.ones((1, 8, 8, 3))
        >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0].shape
        (1, 8, 8, 4)

    Attributes:
        features: number of output channels F.
        window: size of the kernel along each axis.
        strides: distance between the windows of neighbouring outputs, one for all axes or one each.
        padding: as in `nets.layers.conv.Conv`.
        use_bias: whether there is b.
        kernel_init: initialiser of the kernel [prod(window) C, F] of each position.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    window: tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, *spatial, C] to [B, *spatial', F].

        Raises:
            ValueError: x has another number of axes than the window needs, the window does not fit
                into x, or padding or strides are invalid.
        """
        rank = len(self.window)
        check_axes(x, self.window)
        strides, dilation = to_tuple(self.strides, rank, "strides"), (1,) * rank
        pads = explicit_pads(x.shape[1:-1], self.window, strides, self.padding, dilation)
        sizes = x.shape[1:-1]
        mode = "wrap" if self.padding == "CIRCULAR" else "constant"
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode=mode)
        taps = patches(x, self.window, strides, ((0, 0),) * rank, dilation)
        x = jnp.concatenate(taps, axis=-1)  # [B, *spatial', prod(window) C]
        positions = x.shape[1:-1]
        axes = sizes, self.window, strides, pads, dilation, positions
        observed(Sliding("local connections", *axes))

        def init(key, shape, dtype):
            keys = jax.random.split(key, math.prod(positions))
            return jax.vmap(lambda k: self.kernel_init(k, shape[rank:], dtype))(keys).reshape(shape)

        shape = (*positions, x.shape[-1], self.features)
        kernel = self.param("kernel", init, shape, self.param_dtype)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        y = jnp.einsum("b...k,...kf->b...f", x, kernel)
        if not self.use_bias:
            return y
        bias = self.param(
            "bias", nn.initializers.zeros, (*positions, self.features), self.param_dtype
        )
        return y + bias.astype(y.dtype)[None]
