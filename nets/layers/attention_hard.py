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


def reinforce_loss(
    reward: jax.Array,
    log_probability: jax.Array,
    entropy: jax.Array,
    baseline: jax.Array,
    *,
    reward_weight: float,
    entropy_weight: float,
) -> jax.Array:
    """A loss whose gradient is the REINFORCE estimate for -reward (Xu et al. 2015, section 4.1).

        -(d R + reward_weight (R - b) d log p + entropy_weight d H)

    for each row. In the paper R is the log-likelihood of the caption; d R is its gradient where it
    depends on the parameters directly. With reward_weight=1 and entropy_weight=0 the estimate is
    unbiased for every b; a good b reduces its variance. Only the gradient is meaningful, not the
    value of the loss.

        >>> one = jnp.ones(2)
        >>> reinforce_loss(one, -one, one, 0.5, reward_weight=1.0, entropy_weight=0.0).tolist()
        [-0.5, -0.5]

    Args:
        reward: R, [B].
        log_probability: log p, [B], of all samples of a row: the sum over its steps.
        entropy: H, [B], the sum over a row's steps.
        baseline: b, a scalar or [B], from `moving_baseline` or trained by `baseline_loss`. It
            must not depend on the samples. No gradient passes to it.
        reward_weight: the paper's lambda_r.
        entropy_weight: the paper's lambda_e.

    Returns:
        [B].

    Raises:
        ValueError: shapes do not fit.
    """
    shapes = [jnp.shape(a) for a in (reward, log_probability, entropy)]
    if len(set(shapes)) > 1 or jnp.shape(baseline) not in {(), shapes[0]}:
        raise ValueError(
            f"reward, log_probability and entropy must have one shape, got {shapes}; the baseline "
            f"must be a scalar or have that shape, got {jnp.shape(baseline)}"
        )
    advantage = lax.stop_gradient(reward - baseline)
    return -(reward + reward_weight * advantage * log_probability + entropy_weight * entropy)


def moving_baseline(baseline: jax.Array, reward: jax.Array, decay: float) -> jax.Array:
    """A moving average of the reward, decay b + (1 - decay) mean(R) (Xu et al. 2015, section 4.1).

        >>> moving_baseline(jnp.array(1.0), jnp.array([3.0, 5.0]), decay=0.5).item()
        2.5

    Args:
        baseline: b, a scalar, carried from one training step to the next.
        reward: R, [B].
        decay: 0.9 in the paper.
    """
    return decay * baseline + (1 - decay) * lax.stop_gradient(reward).mean()


def baseline_loss(baseline: jax.Array, reward: jax.Array) -> jax.Array:
    """(R - b)^2, [B], which trains a model's prediction b [B] of its reward R [B].

    >>> baseline_loss(jnp.array([1.0]), jnp.array([3.0])).tolist()
    [4.0]
    """
    return jnp.square(lax.stop_gradient(reward) - baseline)
