"""Monotonic attention: each query starts at the key that the previous query chose."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from nets.layers.attention import expand_to_queries, weighted_sum


class MonotonicAttention(nn.Module):
    """Expected hard monotonic attention (Raffel et al. 2017, section 2.3).

    A query goes over the keys in order, from the key that the previous query chose, and stops at
    each with probability sigmoid(e + r). The weight of a key is the probability that it is chosen
    (`monotonic_step`); 1 minus their sum is the probability that none is. In training, noise
    N(0, 1) is added to e + r, so that the model learns energies far from 0. With `hard` the weights
    are 0 or 1: a query stops where e + r > 0, as the paper decodes.

    The paper's energy also normalises v and scales it; here `score` can be any.

        >>> from nets.layers.attention_scores import Dot
        >>> attention, x = MonotonicAttention(Dot()), jnp.ones((1, 4, 3))
        >>> attention.init_with_output(jax.random.key(0), x[:, :2], x, x)[0][1].shape
        (1, 2, 4)

    Attributes:
        score: one of `nets.layers.attention_scores`, e.
        offset: initial value of the parameter r; below zero, so that the first queries of an
            untrained model reach far into a long memory.
        noise: whether noise is added in training.
    """

    score: nn.Module
    offset: float = -1.0
    noise: bool = True

    def setup(self) -> None:
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
            mask: [B, K] (bool), keys that can be chosen; None means all.
            previous: [B, K], weights of the previous query; None means 1 for the first key.
            hard: whether the weights are 0 or 1.
            train: whether noise is added; needs the key "dropout" then.

        Raises:
            ValueError: shapes do not fit.
        """
        scores = self.score(query, keys) + self.r
        if train and self.noise:
            noise = jax.random.normal(self.make_rng("dropout"), scores.shape, scores.dtype)
            scores = scores + noise
        stop = (scores > 0).astype(scores.dtype) if hard else nn.sigmoid(scores)
        if mask is not None:
            stop = jnp.where(expand_to_queries(mask, scores.shape), stop, 0)
        if previous is None:
            first = (jnp.arange(keys.shape[1]) == 0).astype(scores.dtype)
            previous = jnp.broadcast_to(first[None], keys.shape[:2])
        weights = (monotonic_step if query.ndim == 2 else monotonic)(stop, previous)
        return weighted_sum(weights, values), weights


def monotonic_step(stop: jax.Array, previous: jax.Array) -> jax.Array:
    """A query's weights from those of the previous query (Raffel et al. 2017, equations 9 to 14).

        q_k = (1 - p_{k-1}) q_{k-1} + w'_k
        w_k = p_k q_k

    The recurrence is a parallel scan of products and sums: the paper divides by products of
    1 - p instead, which underflow.

        >>> monotonic_step(jnp.array([[0.5, 1.0, 1.0]]), jnp.array([[1.0, 0.0, 0.0]])).tolist()
        [[0.5, 0.5, 0.0]]

    Args:
        stop: p, [B, K], the probability of stopping at each key once it is reached.
        previous: w', [B, K].

    Returns:
        w, [B, K], of sum 1 or less.

    Raises:
        ValueError: the two shapes differ.
    """
    if stop.shape != previous.shape:
        raise ValueError(
            f"previous must have shape {list(stop.shape)}, [B, K], got {list(previous.shape)}"
        )
    passed = jnp.pad(1 - stop[:, :-1], ((0, 0), (1, 0)))

    def combine(before, after):
        return before[0] * after[0], after[0] * before[1] + after[1]

    _, reached = lax.associative_scan(combine, (passed, previous), axis=1)
    return stop * reached


def monotonic(stop: jax.Array, previous: jax.Array) -> jax.Array:
    """`monotonic_step` for Q queries in order: weights [B, Q, K].

        >>> monotonic(jnp.ones((2, 3, 4)), jnp.ones((2, 4))).shape
        (2, 3, 4)

    Args:
        stop: p, [B, Q, K].
        previous: [B, K], weights before the first query.

    Raises:
        ValueError: shapes do not fit.
    """

    def step(previous, stop):
        weights = monotonic_step(stop, previous)
        return weights, weights

    return lax.scan(step, previous, stop.swapaxes(0, 1))[1].swapaxes(0, 1)
