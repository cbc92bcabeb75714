"""Advantages of actions over a critic's values."""

import jax
import jax.numpy as jnp
from jax import lax


def generalised_advantage(
    rewards: jax.Array, values: jax.Array, discount: float, decay: float
) -> jax.Array:
    """Generalised advantage estimation of episodes that end (Schulman et al. 2016, equation 16).

        A_t = d_t + discount decay A_{t+1},  d_t = r_t + discount v_{t+1} - v_t

    v and A are 0 after the last step. With decay=1, A_t + v_t is the discounted return.

        >>> reward = jnp.array([[0.0, 0.0, 1.0]])
        >>> generalised_advantage(reward, jnp.zeros((1, 3)), 0.5, 1.0).tolist()
        [[0.25, 0.5, 1.0]]

    Args:
        rewards: r [B, T], of the action of each step.
        values: v [B, T], of the state before it.
        discount: from 0 to 1.
        decay: lambda, from 0, one step, to 1, all.

    Returns:
        A [B, T].
    """
    following = jnp.concatenate([values[:, 1:], jnp.zeros_like(values[:, :1])], axis=1)
    differences = rewards + discount * following - values

    def step(later, difference):
        advantage = difference + discount * decay * later
        return advantage, advantage

    start = jnp.zeros_like(rewards[:, 0])
    return lax.scan(step, start, differences.T, reverse=True)[1].T
