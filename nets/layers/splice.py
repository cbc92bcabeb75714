"""Data splicing: each frame with its neighbours, and its transpose, which averages estimates."""

import jax
import jax.numpy as jnp


def splice(x: jax.Array, context: int) -> jax.Array:
    """Each frame of x [..., T, D] with the `context` before and after it, [..., T, (2k + 1) D].

        y_t = [x_{t-k}, ..., x_t, ..., x_{t+k}]

    Frames outside of the sequence are zeros.

        >>> splice(jnp.array([[1], [2], [3]]), 1).tolist()
        [[0, 1, 2], [1, 2, 3], [2, 3, 0]]
    """
    length = x.shape[-2]
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(context, context), (0, 0)])
    return jnp.concatenate([x[..., i : i + length, :] for i in range(2 * context + 1)], axis=-1)


def unsplice(y: jax.Array, context: int) -> jax.Array:
    """The mean of all estimates of each frame: y [..., T, (2k + 1) D] to [..., T, D].

    y_t holds estimates of frames t - k to t + k; those of frames outside of the sequence do not
    count. The sum without the division is the transpose of `splice`.

        >>> unsplice(splice(jnp.array([[1.0], [2.0], [3.0]]), 1), 1).tolist()
        [[1.0], [2.0], [3.0]]
    """
    length, width = y.shape[-2], 2 * context + 1
    parts = y.reshape(*y.shape[:-1], width, y.shape[-1] // width)
    lead = [(0, 0)] * (y.ndim - 2)

    def total(parts):
        moved = (
            jnp.pad(parts[..., i, :], [*lead, (i, width - 1 - i), (0, 0)]) for i in range(width)
        )
        return sum(moved)[..., context : context + length, :]

    return total(parts) / total(jnp.ones_like(parts))
