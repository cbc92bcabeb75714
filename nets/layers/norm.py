"""Normalisation over the batch and over neighbouring channels.

Layer and group normalisation are flax's own, `nn.LayerNorm` and `nn.GroupNorm`: they equal torch's
with `epsilon=1e-5` (flax's default is 1e-6).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

BatchNorm = functools.partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)
"""Batch normalisation (Ioffe and Szegedy 2015) of x [..., C] over all axes but the last.

    (x - mean) / sqrt(variance + epsilon) * scale + bias

It takes `use_running_average=not train`. Both variances, the batch's and the running one, are
biased (divided by the number of values). While training, the collection "batch_stats" follows:

    running = momentum running + (1 - momentum) batch

so that `momentum` is the share of the old. torch's is that of the new, 0.1 there; and the variance
that torch puts into its running one is the unbiased one, n / (n - 1) times this.
"""


def local_response_norm(
    x: jax.Array, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> jax.Array:
    """Divides x [..., C] by the energy of the `size` channels around (AlexNet, section 3.3).

        b_i = a_i / (k + alpha sum_j a_j^2)^beta,    j from i - size // 2 to i + (size - 1) // 2

    over those channels that there are (Krizhevsky et al. 2012); computed in float32 at least.
    torch's, as Caffe's, takes alpha / size for alpha.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"size={size}: at least one channel is summed over")
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    rank = x.ndim - 1
    pads = ((0, 0),) * rank + ((size // 2, (size - 1) // 2),)
    window, strides = (1,) * rank + (size,), (1,) * (rank + 1)
    energy = lax.reduce_window(
        jnp.square(wide), np.array(0, wide.dtype), lax.add, window, strides, pads
    )
    factor = jnp.exp(-beta * jnp.log(k + alpha * energy))  # a tenth of a power's time on a CPU
    return (wide * factor).astype(x.dtype)
