"""Row convolution: a layer that sees a few steps ahead."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike


class RowConvolution(nn.Module):
    """Each unit's weighted sum over this step and the next ones (Amodei et al. 2015, section 3.7).

        y_{t,d} = sum_{j=0}^{context} W_{j,d} x_{t+j,d}

    Steps past the end count as zeros. Outputs are late by `context` steps. W starts normal, of
    variance 1 / (context + 1).

    Attributes:
        context: number of steps ahead.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    context: int
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, T, D] to [B, T, D]."""
        taps = self.context + 1
        init = nn.initializers.normal(taps**-0.5)
        kernel = self.param("kernel", init, (taps, x.shape[-1]), self.param_dtype)
        kernel, length = kernel.astype(self.dtype), x.shape[1]
        x = jnp.pad(x.astype(self.dtype), ((0, 0), (0, self.context), (0, 0)))
        return sum(x[:, j : j + length] * kernel[j][None, None] for j in range(taps))
