"""Stochastic depth."""

import jax
import jax.numpy as jnp
from flax import linen as nn


class DropPath(nn.Module):
    """Drops a residual branch while training, for each row of the batch by itself.

    Stochastic depth (Huang et al. 2016), in the form that needs no rescaling at test time: what
    is kept is divided by 1 - rate. Needs the key `dropout` while training, if there is any rate.

    Attributes:
        rate: probability of dropping, in [0, 1).
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps x [B, ...] to the same shape; x itself where not training.

        Raises:
            ValueError: `rate` is not in [0, 1).
        """
        if not 0 <= self.rate < 1:
            raise ValueError(f"DropPath.rate={self.rate}: valid is 0 <= rate < 1")
        if not train or self.rate == 0:
            return x
        return drop_rows(self.make_rng("dropout"), x, self.rate)


def drop_rows(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """x [B, ...] whose rows are zero with probability `rate` in [0, 1), else over 1 - `rate`."""
    rows = (x.shape[0],) + (1,) * (x.ndim - 1)
    kept = jax.random.bernoulli(key, 1 - rate, rows)
    return jnp.where(kept, (x / (1 - rate)).astype(x.dtype), 0)


def linear_rates(rate: float, blocks: int) -> tuple[float, ...]:
    """Rates for `DropPath` from 0 at the first block to `rate` at the last, evenly spaced.

    Huang et al. 2016 count the input as block 0, so that their first rate is `rate` / `blocks`.
    """
    return tuple(rate * block / max(blocks - 1, 1) for block in range(blocks))
