"""Stochastic depth."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from nets.layers.checks import check_probability


class DropPath(nn.Module):
    """Drops a residual branch in training, independently for each row of the batch.

    Stochastic depth (Huang et al. 2016), without rescaling in evaluation: in training the remaining
    rows are divided by 1 - rate. Needs the key "dropout" in training, unless `rate` is 0.

        >>> DropPath(0.5).apply({}, jnp.ones((2, 3)), train=False).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]

    Attributes:
        rate: probability of dropping, in [0, 1).
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps x [B, ...] to the same shape; the identity unless `train`.

        Raises:
            ValueError: `rate` is not in [0, 1).
        """
        check_probability("DropPath.rate", self.rate)
        if not train or self.rate == 0:
            return x
        return drop_rows(self.make_rng("dropout"), x, self.rate)


def drop_rows(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Sets rows of x [B, ...] to zero with probability `rate`, and divides the rest by 1 - `rate`.

    >>> drop_rows(jax.random.key(0), jnp.ones((4, 2)), rate=0.0).sum().item()
    8.0
    """
    rows = (x.shape[0],) + (1,) * (x.ndim - 1)
    mask = jax.random.bernoulli(key, 1 - rate, rows)
    return jnp.where(mask, (x / (1 - rate)).astype(x.dtype), 0)


def linear_rates(rate: float, blocks: int) -> tuple[float, ...]:
    """Rates for `DropPath`, evenly spaced from 0 in the first block to `rate` in the last.

    Huang et al. 2016 count the input as block 0, so that their first rate is `rate` / `blocks`.

        >>> linear_rates(0.5, blocks=3)
        (0.0, 0.25, 0.5)
    """
    return tuple(rate * block / max(blocks - 1, 1) for block in range(blocks))
