"""Losses of single examples, as functions of arrays: [B] of predictions [B, ...]."""

import jax
import jax.numpy as jnp
import optax
from jax import lax


def cross_entropy(logits: jax.Array, labels: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """Softmax cross-entropy [B] in nats of logits [B, K], labels [B] smoothed by `smoothing`."""
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), smoothing)
    return optax.softmax_cross_entropy(logits, targets)


def binary_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Log loss [B] in nats of the probability sigmoid(z) of class 1, logits z [B, 1].

    >>> binary_cross_entropy(jnp.zeros((1, 1)), jnp.array([1])).item() == float(jnp.log(2.0))
    True
    """
    return optax.sigmoid_binary_cross_entropy(logits[:, 0], labels)


def one_vs_rest(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Sum [B] of the log losses of K independent sigmoids: is it class k or any other? [B, K]."""
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1)


def squared_error(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Half the mean squared distance [B] of outputs [B, K] to targets of +1 (label) and -1 (rest).

    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition", section 3.3.
    """
    targets = 2 * jax.nn.one_hot(labels, outputs.shape[-1]) - 1
    return 0.5 * jnp.mean(jnp.square(outputs - targets), -1)


def map_criterion(distances: jax.Array, labels: jax.Array, j: float = 1.0) -> jax.Array:
    """LeCun et al. 1998, equation 9: y_D + log(e^-j + sum_i e^-y_i), [B] of distances y [B, K].

    The constant j bounds the penalty on the wrong classes' distances: past it they are left alone.
    The paper prints no value for it.
    """
    right = jnp.take_along_axis(distances, labels[:, None], -1)[:, 0]
    rubbish = jnp.full_like(distances[:, :1], -j)
    return right + jax.nn.logsumexp(jnp.concatenate([rubbish, -distances], -1), -1)


def coverage_loss(weights: jax.Array, previous: jax.Array) -> jax.Array:
    """sum_k min(w_k, c_k), which penalises repeated attention (See et al. 2017, equation 12).

        >>> coverage_loss(jnp.array([0.5, 0.5]), jnp.array([1.0, 0.0])).item()
        0.5

    Args:
        weights: w, [..., K].
        previous: c, of the same shape, the coverage before this step.

    Returns:
        [...], the loss of each step, from 0 to 1.
    """
    return jnp.minimum(weights, previous).sum(-1)


def doubly_stochastic_loss(
    weights: jax.Array, steps: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """Asks that the weights of each key sum to 1 over time (Xu et al. 2015, equation 14).

        sum_k (1 - sum_t w_tk)^2

        >>> doubly_stochastic_loss(jnp.full((1, 2, 2), 0.5), jnp.ones((1, 2), bool)).tolist()
        [0.0]

    Args:
        weights: w, [B, T, K].
        steps: [B, T] (bool), the steps that count, such as the words of each caption.
        mask: [B, K] (bool), the keys that count; None means all.

    Returns:
        [B].

    Raises:
        ValueError: the shape of steps or mask does not fit the weights.
    """
    batch, length, keys = weights.shape
    if steps.shape != (batch, length) or (mask is not None and mask.shape != (batch, keys)):
        raise ValueError(
            f"steps must be [B, T] and mask [B, K] for weights [B, T, K] = {list(weights.shape)}, "
            f"got steps {list(steps.shape)} and mask {mask if mask is None else list(mask.shape)}"
        )
    missing = jnp.square(1 - jnp.where(steps[..., None], weights, 0).sum(1))
    return (missing if mask is None else jnp.where(mask, missing, 0)).sum(-1)


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
