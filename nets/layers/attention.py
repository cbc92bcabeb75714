"""Soft attention: weights from scores, the weighted sum of values, and losses on the weights.

Queries are [B, ..., Dq]: [B, Dq] in one step of a decoder, [B, Q, Dq] for Q queries at once. Each
row has K keys. Scores and weights are [B, ..., K], values [B, K, D].
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from nets.layers.precision import at_least_float32


class Attention(nn.Module):
    """A sum of values, weighted by the scores of a query and their keys (Bahdanau et al. 2015).

        w_k = softmax_k(score(q, k)),    c = sum_k w_k v_k

    The keys depend on the memory alone: they are computed once, before the scan over a decoder's
    steps. Initialisation must call both methods, since each declares parameters.

        >>> from nets.layers.attention_scores import Dot
        >>> attention, x = Attention(Dot()), jnp.ones((2, 5, 3))
        >>> context, weights = attention.apply({}, x[:, 0], keys=x, values=x)
        >>> context.shape, weights.shape
        ((2, 3), (2, 5))

    Attributes:
        score: one of `nets.layers.attention_scores`.
    """

    score: nn.Module

    def project(self, memory: jax.Array) -> jax.Array:
        """Keys [B, K, A] of memory [B, K, Dk]."""
        return self.score.project(memory)

    def __call__(
        self,
        query: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        mask: jax.Array | None = None,
        **state: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Contexts [B, ..., D] and weights [B, ..., K], as `attend` gives them.

        Args:
            query: [B, ..., Dq].
            keys: [B, K, A], from `project`.
            values: [B, K, D], usually the memory itself.
            mask: [B, K] or [B, ..., K] (bool), keys that may be attended to; None means all.
            **state: more arguments of the score, such as the `coverage` of
                `nets.layers.attention_scores.Additive`.

        Raises:
            ValueError: shapes do not fit.
        """
        return attend(self.score(query, keys, **state), values, mask)


def attend(
    scores: jax.Array, values: jax.Array, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Contexts [B, ..., D], in the values' dtype, and weights [B, ..., K], float32 at least.

        >>> context, weights = attend(jnp.zeros((2, 4, 5)), jnp.ones((2, 5, 3)))
        >>> context.shape, weights.shape
        ((2, 4, 3), (2, 4, 5))

    Args:
        scores: [B, ..., K].
        values: [B, K, D].
        mask: [B, K] or [B, ..., K] (bool), keys that may be attended to; None means all.

    Raises:
        ValueError: shapes do not fit.
    """
    weights = masked_softmax(scores, mask)
    return weighted_sum(weights, values), weights


def masked_softmax(scores: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """exp(e_k) / sum_j exp(e_j) over the keys of the mask, zero for others, float32 at least.

    Where the mask excludes every key, the weights and their gradients are zero.

        >>> masked_softmax(jnp.zeros((1, 3)), jnp.array([[True, True, False]])).tolist()
        [[0.5, 0.5, 0.0]]

    Args:
        scores: e, [B, ..., K].
        mask: [B, K] or [B, ..., K] (bool); None means all.

    Raises:
        ValueError: the mask has another shape.
    """
    scores = at_least_float32(scores)
    if mask is None:
        return jax.nn.softmax(scores)
    mask = expand_to_queries(mask, scores.shape)
    # finite: a row without keys would give inf - inf, where `jax_debug_nans` stops
    scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    return jnp.where(mask, jax.nn.softmax(scores), 0)


def weighted_sum(weights: jax.Array, values: jax.Array) -> jax.Array:
    """sum_k w_k v_k, [B, ..., D], of weights [B, ..., K] and values [B, K, D], in their dtype.

        >>> weighted_sum(jnp.array([[0.25, 0.75]]), jnp.array([[[0.0], [4.0]]])).tolist()
        [[3.0]]

    Raises:
        ValueError: weights and values differ in B or K.
    """
    if values.ndim != 3 or values.shape[:2] != (weights.shape[0], weights.shape[-1]):
        raise ValueError(
            f"values must be [B, K, D] for weights [B, ..., K] = {list(weights.shape)}, "
            f"got shape {list(values.shape)}"
        )
    return jnp.einsum("b...k,bkd->b...d", weights.astype(values.dtype), values)


def expand_to_queries(mask: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Gives a mask [B, K] or [B, ..., K] the rank of scores of this shape, [B, ..., K].

    Raises:
        ValueError: the mask has another shape.
    """
    row = (shape[0], shape[-1])
    if mask.shape not in (row, shape):
        raise ValueError(
            f"mask must have shape {list(row)} or {list(shape)}, that of the scores, "
            f"got {list(mask.shape)}"
        )
    return jnp.expand_dims(mask, tuple(range(1, 1 + len(shape) - mask.ndim)))


def coverage(weights: jax.Array) -> jax.Array:
    """The sum of the weights of all earlier steps (See et al. 2017, section 2.3, equation 10).

        c_t = sum_{s < t} w_s

    for weights [B, T, K], of the same shape. A decoder adds one step: coverage + weights.

        >>> coverage(jnp.ones((1, 3, 1))).ravel().tolist()
        [0.0, 1.0, 2.0]
    """
    return jnp.cumsum(jnp.pad(weights[:, :-1], ((0, 0), (1, 0), (0, 0))), axis=1)
