"""Average pooling to a given number of places, whatever the size of what comes in."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def adaptive_average(x: jax.Array, sizes: int | Sequence[int]) -> jax.Array:
    """Averages x [B, *spatial, C] to [B, *sizes, C], by torch's rule.

    Of n places, bin i of m averages those from floor(i n / m) up to, without, ceil((i + 1) n / m).
    Bins overlap where m does not divide n, and repeat places where m is the greater. It is one
    matmul for each axis whose size changes, in float32 at least.

    Args:
        x: any number of spatial axes.
        sizes: number of bins along each spatial axis, one for all axes or one each.

    Raises:
        ValueError: `sizes` are not one for each spatial axis, or below 1.
    """
    rank = x.ndim - 2
    given, sizes = sizes, (sizes,) * rank if isinstance(sizes, int) else tuple(sizes)
    if len(sizes) != rank or min(sizes, default=1) < 1:
        raise ValueError(
            f"sizes={given} for x {list(x.shape)}: valid are {rank} numbers of at least 1"
        )
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    for axis, m in enumerate(sizes, start=1):
        if m != x.shape[axis]:
            shares = jnp.asarray(_shares(x.shape[axis], m), y.dtype)
            y = jnp.tensordot(y, shares, (axis, 0), precision=lax.Precision.HIGHEST)
            y = jnp.moveaxis(y, -1, axis)
    return y.astype(x.dtype)


def _shares(n: int, m: int) -> np.ndarray:
    """What each place gives to each bin, [n, m]."""
    shares = np.zeros((n, m))
    for i in range(m):
        low, high = i * n // m, -(-(i + 1) * n // m)
        shares[low:high, i] = 1 / (high - low)
    return shares
