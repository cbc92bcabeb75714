"""Average pooling to a given output size, for any input size."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nets.layers.conv_windows import to_tuple
from nets.layers.precision import at_least_float32


def adaptive_average(x: jax.Array, sizes: int | Sequence[int]) -> jax.Array:
    """Averages x [B, *spatial, C] to [B, *sizes, C], by torch's rule.

    Of n positions, bin i of m averages those from floor(i n / m) to ceil((i + 1) n / m) - 1. Bins
    overlap where m does not divide n. It is one matmul for each axis whose size changes, in float32
    at least.

        >>> adaptive_average(jnp.ones((1, 5, 7, 3)), (2, 3)).shape
        (1, 2, 3, 3)

    Args:
        x: any number of spatial axes.
        sizes: number of bins along each spatial axis, one for all axes or one each.

    Raises:
        ValueError: there are more or fewer `sizes` than spatial axes, or one is below 1.
    """
    y = at_least_float32(x)
    for axis, m in enumerate(to_tuple(sizes, x.ndim - 2, "sizes"), start=1):
        if m != x.shape[axis]:
            weights = jnp.asarray(_bin_weights(x.shape[axis], m), y.dtype)
            y = jnp.tensordot(y, weights, (axis, 0), precision=lax.Precision.HIGHEST)
            y = jnp.moveaxis(y, -1, axis)
    return y.astype(x.dtype)


def _bin_weights(n: int, m: int) -> np.ndarray:
    """The weight of each position in each bin, [n, m]."""
    weights = np.zeros((n, m))
    for i in range(m):
        low, high = i * n // m, -(-(i + 1) * n // m)
        weights[low:high, i] = 1 / (high - low)
    return weights
