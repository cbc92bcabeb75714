"""Soft attention: weights from scores, the sum of values that they give, and what they should be.

Queries [B, ..., Dq] look at K keys a row, any number of them at once: [B, Dq] in a step of a
decoder, [B, Q, Dq] where all are known. Scores and weights are [B, ..., K], values [B, K, D].
"""

import jax
import jax.numpy as jnp
from flax import linen as nn


class Attention(nn.Module):
    """A weighted sum of values, by how well their keys answer a query (Bahdanau et al. 2015).

        w_k = softmax_k(score(q, k)),    c = sum_k w_k v_k

    What depends on the memory alone is computed once, outside the scan over a decoder's steps:

        keys = attention.project(memory)
        context, weights = attention(query, keys, memory, mask)

    A model that has it calls both when it is initialised, since either declares weights.

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
            values: [B, K, D], in most models the memory itself.
            mask: [B, K] or [B, ..., K] (bool), keys that may be looked at; all if none.
            **state: what the score sees beside, such as the `coverage` of
                `nets.layers.attention_scores.Additive`.

        Raises:
            ValueError: shapes do not fit.
        """
        return attend(self.score(query, keys, **state), values, mask)


def attend(
    scores: jax.Array, values: jax.Array, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Contexts [B, ..., D], in the values' type, and weights [B, ..., K], float32 at least.

    Args:
        scores: [B, ..., K].
        values: [B, K, D].
        mask: [B, K] or [B, ..., K] (bool), keys that may be looked at; all if none.

    Raises:
        ValueError: shapes do not fit.
    """
    weights = masked_softmax(scores, mask)
    return weighted_sum(weights, values), weights


def masked_softmax(scores: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """exp(e_k) / sum_j exp(e_j) over the keys of the mask, zero for others, float32 at least.

    Rows of no key at all are zeros, and so is their gradient.

    Args:
        scores: e, [B, ..., K].
        mask: [B, K] or [B, ..., K] (bool); all if none.

    Raises:
        ValueError: the mask fits neither.
    """
    scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    if mask is None:
        return jax.nn.softmax(scores)
    mask = each_query(mask, scores.shape)
    # finite, so that a row of no key has no inf - inf: `jax_debug_nans` would stop at it
    scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    return jnp.where(mask, jax.nn.softmax(scores), 0)


def weighted_sum(weights: jax.Array, values: jax.Array) -> jax.Array:
    """sum_k w_k v_k, [B, ..., D], of weights [B, ..., K] and values [B, K, D], in their type.

    Raises:
        ValueError: the values are not of as many keys as the weights.
    """
    if values.ndim != 3 or values.shape[:2] != (weights.shape[0], weights.shape[-1]):
        raise ValueError(f"values {values.shape} do not fit weights {weights.shape}, [B, ..., K]")
    return jnp.einsum("b...k,bkd->b...d", weights.astype(values.dtype), values)


def each_query(mask: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """A mask [B, K] or [B, ..., K] in the rank of scores of this shape, [B, ..., K].

    Raises:
        ValueError: it is neither.
    """
    valid = (shape[0], shape[-1]), shape
    if mask.shape not in valid:
        raise ValueError(
            f"a mask {mask.shape} does not fit scores {shape}: {valid[0]} or {shape} is valid"
        )
    return jnp.expand_dims(mask, tuple(range(1, 1 + len(shape) - mask.ndim)))


def coverage(weights: jax.Array) -> jax.Array:
    """What each key has had before each step (See et al. 2017, section 2.3, equation 10).

        c_t = sum_{s < t} w_s

    of weights [B, T, K], of the same shape. In a decoder's step: the next is coverage + weights.
    """
    return jnp.cumsum(jnp.pad(weights[:, :-1], ((0, 0), (1, 0), (0, 0))), axis=1)


def coverage_loss(weights: jax.Array, covered: jax.Array) -> jax.Array:
    """sum_k min(w_k, c_k): what goes again to where attention has been (See et al. 2017, eq. 12).

    Args:
        weights: w, [..., K].
        covered: c before them, of the same shape, as from `coverage`.

    Returns:
        [...], the loss of each step, from 0 to 1.
    """
    return jnp.minimum(weights, covered).sum(-1)


def doubly_stochastic_loss(
    weights: jax.Array, steps: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """How far each key is from one look in all (Xu et al. 2015, section 4.2.1, equation 14).

        sum_k (1 - sum_t w_tk)^2

    Args:
        weights: w, [B, T, K].
        steps: [B, T] (bool), those that count: the words of each caption.
        mask: [B, K] (bool), keys that count; all if none.

    Returns:
        [B].

    Raises:
        ValueError: steps or mask do not fit the weights.
    """
    batch, length, keys = weights.shape
    if steps.shape != (batch, length) or (mask is not None and mask.shape != (batch, keys)):
        raise ValueError(
            f"steps {steps.shape} or mask {None if mask is None else mask.shape} do not fit "
            f"weights {weights.shape}: [B, T] and [B, K] are valid"
        )
    missing = jnp.square(1 - jnp.where(steps[..., None], weights, 0).sum(1))
    return (missing if mask is None else jnp.where(mask, missing, 0)).sum(-1)
