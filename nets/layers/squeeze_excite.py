"""Squeeze-and-excitation: channels weighted by what the whole image holds."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import HE, Conv
from nets.types import Activation


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that sees the averages of all (Hu et al. 2018).

        x * gate(fc2(activation(fc1(average of x over all places))))

    fc1 [C -> hidden] and fc2 [hidden -> C] are 1x1 convolutions with biases, their kernels He
    normal by fan-out at first.

    Attributes:
        hidden: channels between; the paper's are C / 16.
        activation: nonlinearity after fc1.
        gate: nonlinearity after fc2.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    hidden: int
    activation: Activation = nn.relu
    gate: Activation = nn.sigmoid
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, *spatial, C] to the same shape, in `dtype`."""
        rank = x.ndim - 2
        options = {
            "window": (1,) * rank,
            "kernel_init": HE,
            "dtype": self.dtype,
            "param_dtype": self.param_dtype,
        }
        x = jnp.asarray(x, self.dtype)
        z = x.mean(axis=tuple(range(1, rank + 1)), keepdims=True)
        z = self.activation(Conv(self.hidden, **options, name="fc1")(z))
        return x * self.gate(Conv(x.shape[-1], **options, name="fc2")(z))
