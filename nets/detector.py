"""One linear filter, whose output is greatest where it finds what it has learnt."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import Conv


class Detector(nn.Module):
    """A single kernel of one dimension, correlated with a signal; no bias, no nonlinearity.

    Attributes:
        window: steps of the kernel.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    window: int = 32
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps signals x [B, T, C] to a score for each beginning, [B, T - window + 1].

        The scores are float32 at least.
        """
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        y = Conv(1, (self.window,), padding="VALID", use_bias=False, **dtypes, name="filter")(x)
        return y[..., 0].astype(jnp.promote_types(self.dtype, jnp.float32))
