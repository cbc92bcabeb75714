"""Precision of sums: float32 at least, whatever the computation dtype is."""

import jax
import jax.numpy as jnp


def at_least_float32(x: jax.Array) -> jax.Array:
    """x in float32, or as it is if its dtype is wider.

    >>> halves = jnp.bfloat16, jnp.float16
    >>> [at_least_float32(jnp.zeros(2, dtype)).dtype.name for dtype in halves]
    ['float32', 'float32']
    """
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
