"""Normalisation over the batch and over neighbouring channels.

For layer and group normalisation use `nn.LayerNorm` and `nn.GroupNorm`; they equal torch's with
`epsilon=1e-5` (Flax's default is 1e-6).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least
from nets.layers.precision import at_least_float32

BatchNorm = functools.partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)
"""Batch normalisation (Ioffe and Szegedy 2015) of x [..., C] over all axes but the last.

    (x - mean) / sqrt(variance + epsilon) * scale + bias

It takes `use_running_average=not train`. The variance of the batch and the running variance are
biased (divided by the number of values). Training updates the collection "batch_stats":

    running = momentum running + (1 - momentum) batch

torch's momentum is 1 minus this one, and its running variance averages the unbiased variance,
n / (n - 1) times this one.
"""


class FrozenBatchNorm(nn.Module):
    """Batch normalisation by stored statistics, none of which is a parameter.

        (x - mean) / sqrt(variance + epsilon) * scale + bias

    All four are in the collection "batch_stats", and training does not change them, as detectors
    have it, whose batches are too small for statistics.

        >>> FrozenBatchNorm().init_with_output(jax.random.key(0), jnp.ones((1, 4, 4, 3)))[0].shape
        (1, 4, 4, 3)

    Attributes:
        epsilon: added to the variance.
        dtype: computation dtype.
        param_dtype: dtype of what is stored.
    """

    epsilon: float = 1e-5
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [..., C] to the same shape."""
        start = {"scale": jnp.ones, "bias": jnp.zeros, "mean": jnp.zeros, "var": jnp.ones}
        scale, bias, mean, variance = (
            self.variable("batch_stats", name, make, x.shape[-1], self.param_dtype).value
            for name, make in start.items()
        )
        factor = scale / jnp.sqrt(variance + self.epsilon)
        shape = (1,) * (x.ndim - 1) + (-1,)
        factor, offset = (
            a.reshape(shape).astype(self.dtype) for a in (factor, bias - mean * factor)
        )
        return x.astype(self.dtype) * factor + offset


def local_response_norm(
    x: jax.Array, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> jax.Array:
    """Divides x [..., C] by the energy of `size` neighbouring channels (Krizhevsky et al. 2012).

        b_i = a_i / (k + alpha sum_j a_j^2)^beta,    j from i - size // 2 to i + (size - 1) // 2

    over the existing channels (section 3.3); computed in float32 at least. torch and Caffe divide
    alpha by size.

        >>> local_response_norm(jnp.ones((1, 8, 8, 3))).shape
        (1, 8, 8, 3)

    Raises:
        ValueError: `size` is below 1.
    """
    check_at_least("size", size, 1)
    wide = at_least_float32(x)
    rank = x.ndim - 1
    pads = ((0, 0),) * rank + ((size // 2, (size - 1) // 2),)
    window, strides = (1,) * rank + (size,), (1,) * (rank + 1)
    energy = lax.reduce_window(
        jnp.square(wide), np.array(0, wide.dtype), lax.add, window, strides, pads
    )
    factor = jnp.exp(-beta * jnp.log(k + alpha * energy))  # on a CPU ten times as fast as a power
    return (wide * factor).astype(x.dtype)
