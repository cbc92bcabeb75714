"""Linear layers over sequences."""

import jax
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike


def dense(features: int, dtype: DTypeLike, param_dtype: DTypeLike, **options) -> nn.Dense:
    """`flax.linen.Dense` that computes [B, T, D] as B T rows: over two axes XLA's gradient by the
    kernel copies the larger factor first on a CPU."""
    return nn.Dense(features, dtype=dtype, param_dtype=param_dtype, dot_general=_by_rows, **options)


def _by_rows(x: jax.Array, kernel: jax.Array, *_, **options) -> jax.Array:
    rows = x.reshape(-1, x.shape[-1])
    found = lax.dot_general(rows, kernel, (((1,), (0,)), ((), ())), **options)
    return found.reshape(*x.shape[:-1], -1)
