"""Locally connected layers: a convolution whose weights are not shared."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax.typing import DTypeLike

from nets.layers.conv_windows import Padding, explicit_pads, patches, to_tuple


class LocallyConnected(nn.Module):
    """A window over x [B, *spatial, C] with a kernel of its own at each place.

        y[p, f] = b[p, f] + sum_{t, c} x[p stride + t - low, c] kernel[p, t c, f]

    The kernel is [*places, prod(window) C, F], its rows the taps in order, all channels of the
    first, then those of the next; b is [*places, F]. So the weights fit images of one size only.

    Attributes:
        features: number of output channels F.
        window: size along each axis; there are as many spatial axes.
        strides: step between neighbouring places, one for all axes or one each.
        padding: as in `nets.layers.conv.Conv`.
        use_bias: whether there is b.
        kernel_init: initialiser of each place's [prod(window) C, F], drawn for itself.
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
        """Maps x [B, *spatial, C] to [B, *places, F].

        Raises:
            ValueError: the axes of x do not fit the window, or it is too large for them, or there
                is no such padding or stride.
        """
        rank = len(self.window)
        if x.ndim != rank + 2:
            raise ValueError(f"a window {self.window} takes x of {rank + 2} axes, not {x.shape}")
        strides, dilation = to_tuple(self.strides, rank, "strides"), (1,) * rank
        pads = explicit_pads(x.shape[1:-1], self.window, strides, self.padding, dilation)
        mode = "wrap" if self.padding == "CIRCULAR" else "constant"
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode=mode)
        seen = patches(x, self.window, strides, ((0, 0),) * rank, dilation)
        x = jnp.concatenate(seen, axis=-1)  # [B, *places, prod(window) C]
        places = x.shape[1:-1]

        def init(key, shape, dtype):
            keys = jax.random.split(key, math.prod(places))
            return jax.vmap(lambda k: self.kernel_init(k, shape[rank:], dtype))(keys).reshape(shape)

        shape = (*places, x.shape[-1], self.features)
        kernel = self.param("kernel", init, shape, self.param_dtype)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        y = jnp.einsum("b...k,...kf->b...f", x, kernel)
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, (*places, self.features), self.param_dtype)
        return y + bias.astype(y.dtype)[None]
