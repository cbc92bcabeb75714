"""Squeeze-and-excitation: channels scaled by a function of their averages over the image."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import HE, Conv
from nets.types import Activation


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the averages of all channels (Hu et al. 2018).

        x * gate(fc2(activation(fc1(average of x over all positions))))

    fc1 [C -> hidden] and fc2 [hidden -> C] are 1x1 convolutions with biases.

        >>> x = jnp.ones((1, 8, 8, 32))
        >>> jax.eval_shape(SqueezeExcite(2).init_with_output, jax.random.key(0), x)[0].shape
        (1, 8, 8, 32)

    Attributes:
        hidden: number of channels of fc1; C / 16 in the paper.
        activation: nonlinearity after fc1.
        gate: nonlinearity after fc2.
        kernel_init: initialiser of both kernels; the default is He normal by fan-out.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    hidden: int
    activation: Activation = nn.relu
    gate: Activation = nn.sigmoid
    kernel_init: nn.initializers.Initializer = HE
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, *spatial, C] to the same shape, in `dtype`."""
        rank = x.ndim - 2
        options = {
            "window": (1,) * rank,
            "kernel_init": self.kernel_init,
            "dtype": self.dtype,
            "param_dtype": self.param_dtype,
        }
        x = jnp.asarray(x, self.dtype)
        z = x.mean(axis=tuple(range(1, rank + 1)), keepdims=True)
        z = self.activation(Conv(self.hidden, **options, name="fc1")(z))
        return x * self.gate(Conv(x.shape[-1], **options, name="fc2")(z))
