"""Row convolution: a layer that reads a few steps ahead."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike


class RowConvolution(nn.Module):
    """A weighted sum over this step and the next, per unit (Amodei et al. 2015, section 3.7).

        y_{t,d} = sum_{j=0}^{context} W_{j,d} x_{t+j,d}

    Steps past the end count as zeros. W is initialised normal with variance 1 / (context + 1). It
    also runs on a stream, by `step`, whose outputs are delayed by `context` steps.

        >>> x = jnp.ones((2, 5, 3))
        >>> jax.eval_shape(RowConvolution(2).init_with_output, jax.random.key(0), x)[0].shape
        (2, 5, 3)

    Attributes:
        context: number of steps ahead.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    context: int
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, T, D] to [B, T, D]."""
        return self._summed(jnp.pad(x, ((0, 0), (0, self.context), (0, 0))))

    def step(self, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step of a stream, x [B, D]: the next carry and the output [B, D].

        Input t gives output t - context. Ignore the first `context` outputs; feed `context` steps
        of zeros at the end for the last ones.
        """
        inputs = jnp.concatenate([carry, x[:, None].astype(carry.dtype)], axis=1)
        return inputs[:, 1:], self._summed(inputs)[:, 0]

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> jax.Array:
        """The carry before the first step, zeros, for inputs of this shape in one step, [B, D].

        The carry is the last inputs, [B, context, D], in the computation dtype.
        """
        return jnp.zeros((shape[0], self.context, shape[1]), self.dtype)

    @nn.compact
    def _summed(self, x):
        """[B, T, D] of x [B, T + context, D]."""
        taps = self.context + 1
        init = nn.initializers.normal(taps**-0.5)
        kernel = self.param("kernel", init, (taps, x.shape[-1]), self.param_dtype)
        kernel, x = kernel.astype(self.dtype), x.astype(self.dtype)
        length = x.shape[1] - self.context
        return sum(x[:, j : j + length] * kernel[j][None, None] for j in range(taps))
