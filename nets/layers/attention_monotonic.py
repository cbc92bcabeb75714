"""Monotonic attention: each query takes up where the one before it left."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from nets.layers.attention import each_query, weighted_sum


class MonotonicAttention(nn.Module):
    """Expected hard monotonic attention (Raffel et al. 2017, section 2.3).

    From the key that the query before it chose, a query goes over the keys in order, and chooses
    each with probability sigmoid(e + r). The weights are the probabilities of each key to be
    chosen (`monotonic_step`); what they lack to one is that of none. In training, noise N(0, 1) is
    added to e + r, so that it learns to be far from 0. With `hard` they are 0 or 1: each is chosen
    where e + r > 0, the paper's way of decoding.

    The paper's energy also divides v by its length and scales it; `score` is free here.

    Attributes:
        score: one of `nets.layers.attention_scores`, e.
        offset: r at first, a learned number: below zero, that long memories be looked through.
        noise: whether there is noise in training.
    """

    score: nn.Module
    offset: float = -1.0
    noise: bool = True

    def setup(self):
        self.r = self.param("r", nn.initializers.constant(self.offset), (), jnp.float32)

    def project(self, memory: jax.Array) -> jax.Array:
        """Keys [B, K, A] of memory [B, K, Dk]."""
        return self.score.project(memory)

    def __call__(
        self,
        query: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        mask: jax.Array | None = None,
        *,
        previous: jax.Array | None = None,
        hard: bool = False,
        train: bool = False,
    ) -> tuple[jax.Array, jax.Array]:
        """Contexts [B, D] or [B, Q, D], and weights [B, K] or [B, Q, K], float32 at least.

        Args:
            query: [B, Dq], or [B, Q, Dq] in order.
            keys: [B, K, A], from `project`.
            values: [B, K, D].
            mask: [B, K] (bool), keys that can be chosen; all if none.
            previous: [B, K], weights of the query before; none is the first key.
            hard: whether weights are 0 or 1.
            train: whether there is noise; needs the key "dropout" then.

        Raises:
            ValueError: shapes do not fit.
        """
        scores = self.score(query, keys) + self.r
        if train and self.noise:
            noise = jax.random.normal(self.make_rng("dropout"), scores.shape, scores.dtype)
            scores = scores + noise
        chosen = (scores > 0).astype(scores.dtype) if hard else nn.sigmoid(scores)
        if mask is not None:
            chosen = jnp.where(each_query(mask, scores.shape), chosen, 0)
        if previous is None:
            first = (jnp.arange(keys.shape[1]) == 0).astype(scores.dtype)
            previous = jnp.broadcast_to(first[None], keys.shape[:2])
        if query.ndim == 2:
            weights = monotonic_step(chosen, previous)
        else:
            weights = monotonic(chosen, previous)
        return weighted_sum(weights, values), weights


def monotonic_step(chosen: jax.Array, previous: jax.Array) -> jax.Array:
    """A query's probabilities of keys, from those of the one before (Raffel et al. 2017, eq. 9-14).

        q_k = (1 - p_{k-1}) q_{k-1} + w'_k
        w_k = p_k q_k

    The recurrence is a parallel scan of products and sums. The paper's own form divides by
    products of 1 - p, which underflow.

    Args:
        chosen: p, [B, K], the probability of each key to be chosen once it is come to.
        previous: w', [B, K].

    Returns:
        w, [B, K], of sum 1 or less.

    Raises:
        ValueError: the two shapes differ.
    """
    if chosen.shape != previous.shape:
        raise ValueError(f"previous {previous.shape} does not fit the keys {chosen.shape}")
    passed = jnp.pad(1 - chosen[:, :-1], ((0, 0), (1, 0)))

    def combine(before, after):
        return before[0] * after[0], after[0] * before[1] + after[1]

    _, reached = lax.associative_scan(combine, (passed, previous), axis=1)
    return chosen * reached


def monotonic(chosen: jax.Array, previous: jax.Array) -> jax.Array:
    """`monotonic_step` for all queries in turn: weights [B, Q, K] of probabilities [B, Q, K].

    Args:
        chosen: [B, Q, K].
        previous: [B, K], weights before the first query.

    Raises:
        ValueError: shapes do not fit.
    """

    def step(previous, chosen):
        weights = monotonic_step(chosen, previous)
        return weights, weights

    return lax.scan(step, previous, chosen.swapaxes(0, 1))[1].swapaxes(0, 1)
