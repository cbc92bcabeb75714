"""Pooling of the words of a sentence into one vector, without its padding."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

Pooling = Literal["last", "mean", "max", "attention"]


def mean_pool(h: jax.Array, mask: jax.Array) -> jax.Array:
    """The mean [B, D] of h [B, T, D] over the words that `mask` [B, T] (bool) has; 0 of none."""
    weights = mask[..., None] / jnp.maximum(mask.sum(1), 1)[:, None, None]
    return jnp.sum(h * weights.astype(h.dtype), 1)


def max_over_time(h: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The maximum [B, D] of h [B, T, D] over the words of the mask; and their shares [B, T].

    The share of a word is that of the features that have their maximum there (the first, of
    several). Without a word both are 0.
    """
    masked = jnp.where(mask[..., None], h, -jnp.inf)
    pooled = jnp.where(mask.any(1, keepdims=True), masked.max(1), 0)
    first = jax.nn.one_hot(masked.argmax(1), h.shape[1], dtype=jnp.float32)  # [B, D, T]
    return pooled, jnp.where(mask, first.mean(1), 0)


class AttentionPool(nn.Module):
    """The words that matter, by one query (Yang et al. 2016, equations 5 to 7).

        u_t = tanh(W h_t + b),  a = softmax_t(u_t . q),  s = sum_t a_t h_t

    Attributes:
        features: size of u and q.
        dtype: computation dtype; the softmax is in float32.
        param_dtype: parameter dtype.
    """

    features: int
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, h: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
        """s [B, D] and a [B, T] of h [B, T, D], for the words that `mask` [B, T] (bool) has."""
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        u = nn.tanh(nn.Dense(self.features, name="hidden", **dtypes)(h))
        scores = nn.Dense(1, use_bias=False, name="query", **dtypes)(u)[..., 0]
        scores = jnp.where(mask, scores.astype(jnp.float32), jnp.finfo(jnp.float32).min)
        weights = jnp.where(mask, jax.nn.softmax(scores), 0)
        return jnp.einsum("btd,bt->bd", h, weights.astype(h.dtype)), weights
