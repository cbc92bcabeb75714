"""Hard attention: one key drawn by its weight, and the estimator of the gradient that this needs.

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
    """Where hard attention looks.

    Attributes:
        weights: [B, ..., K], one for the key that was drawn, zeros for others; no gradient passes.
        log_probability: [B, ...], that of this key, in nats.
        entropy: [B, ...], that of the distribution it was drawn from, in nats.
    """

    weights: jax.Array
    log_probability: jax.Array
    entropy: jax.Array


def sample_key(key: jax.Array, scores: jax.Array, mask: jax.Array | None = None) -> Sample:
    """Draws a key of each row with probability softmax(scores) (Xu et al. 2015, section 4.1).

    In rows of no key at all everything is zero.

    Args:
        key: for `jax.random`.
        scores: [B, ..., K].
        mask: [B, K] or [B, ..., K] (bool), keys that may be looked at; all if none.

    Raises:
        ValueError: the mask does not fit.
    """
    weights = masked_softmax(scores, mask)
    possible = weights > 0
    logs = jnp.log(jnp.where(possible, weights, 1))
    drawn = jax.random.categorical(key, jnp.where(possible, lax.stop_gradient(logs), -jnp.inf))
    one_hot = jax.nn.one_hot(drawn, scores.shape[-1], dtype=weights.dtype) * possible
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
    """A loss whose gradient is minus the estimate of the reward's (Xu et al. 2015, section 4.1).

        -(d R + reward_weight (R - b) d log p + entropy_weight d H)

    for each row; R is the log-likelihood of the caption there. Its own dependence on the weights,
    the first term, counts where it has one. With reward_weight=1 and entropy_weight=0 the mean
    over draws is the gradient of minus the expected reward, whatever b is; b lowers its variance.
    The value of the loss means nothing.

    Args:
        reward: R, [B].
        log_probability: log p, [B], of all that was drawn: the sum over a row's steps.
        entropy: H, [B], likewise.
        baseline: b, a scalar or [B]: that of `moving_baseline`, or learned by `baseline_loss`. It
            must not depend on what was drawn. No gradient passes to it.
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
            f"reward, log_probability and entropy {shapes} must be of one shape, and the baseline "
            f"{jnp.shape(baseline)} a scalar or of that shape"
        )
    advantage = lax.stop_gradient(reward - baseline)
    return -(reward + reward_weight * advantage * log_probability + entropy_weight * entropy)


def moving_baseline(baseline: jax.Array, reward: jax.Array, decay: float) -> jax.Array:
    """The next of a moving average: decay b + (1 - decay) mean(R) (Xu et al. 2015, section 4.1).

    Args:
        baseline: b, a scalar, carried from step to step of the training.
        reward: R, [B].
        decay: the paper's is 0.9.
    """
    return decay * baseline + (1 - decay) * lax.stop_gradient(reward).mean()


def baseline_loss(baseline: jax.Array, reward: jax.Array) -> jax.Array:
    """(R - b)^2, [B], by which a model's own guess b [B] of its reward is learned; R is given."""
    return jnp.square(lax.stop_gradient(reward) - baseline)
