"""Hard attention: one key is sampled from the weights; REINFORCE estimates the gradient.

sample = sample_key(key, scores, mask)
context = weighted_sum(sample.weights, values)
loss = reinforce_loss(log_likelihood, sample.log_probability, sample.entropy, baseline, ...)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from nets.layers.attention import masked_softmax


class Sample(NamedTuple):
    """A sampled key of each row.

    Attributes:
        weights: [B, ..., K], 1 for the sampled key, 0 for the others; no gradient passes.
        log_probability: [B, ...], of the sampled key, in nats.
        entropy: [B, ...], of the distribution that was sampled, in nats.
    """

    weights: jax.Array
    log_probability: jax.Array
    entropy: jax.Array


def sample_key(key: jax.Array, scores: jax.Array, mask: jax.Array | None = None) -> Sample:
    """Samples a key of each row with probability softmax(scores) (Xu et al. 2015, section 4.1).

    Where the mask excludes every key, all results are zero.

        >>> sample_key(jax.random.key(0), jnp.array([[0.0, 50.0]])).weights.tolist()
        [[0.0, 1.0]]

    Args:
        key: a key of `jax.random`.
        scores: [B, ..., K].
        mask: [B, K] or [B, ..., K] (bool), keys that may be attended to; None means all.

    Raises:
        ValueError: the mask has another shape.
    """
    weights = masked_softmax(scores, mask)
    possible = weights > 0
    logs = jnp.log(jnp.where(possible, weights, 1))
    index = jax.random.categorical(key, jnp.where(possible, lax.stop_gradient(logs), -jnp.inf))
    one_hot = jax.nn.one_hot(index, scores.shape[-1], dtype=weights.dtype) * possible
    return Sample(one_hot, (one_hot * logs).sum(-1), -(weights * logs).sum(-1))
