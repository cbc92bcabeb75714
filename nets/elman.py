"""Simple recurrent networks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.cell import Cell, orthogonal_gates, tanh
from nets.types import Activation


class ElmanCarry(NamedTuple):
    """What a simple recurrent cell remembers: its output h [B, H]."""

    h: jax.Array


class Elman(Cell):
    """Recurrence from the hidden layer (Elman 1990).

        h_t = activation(x_t W + h_{t-1} R + b)

    W is `kernel` [D, H], Glorot uniform at first, R `recurrent_kernel` [H, H], orthogonal at
    first, b `bias` [H].

    Attributes:
        features: number of units H.
        activation: tanh as published; relu with R = 1 is the identity RNN of Le et al. 2015.
    """

    activation: Activation = tanh

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        h, glorot = self.features, nn.initializers.glorot_uniform()
        return {
            "kernel": self.param("kernel", glorot, (shape[-1], h), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", orthogonal_gates, (h, h), dtype),
            "bias": self.param("bias", nn.initializers.zeros, (h,), dtype),
        }

    @nn.nowrap
    def combine(self, weights: dict, carry: ElmanCarry, z: jax.Array, x: jax.Array) -> ElmanCarry:
        """The next carry, from z = h_{t-1} R and the projected input, each [B, H]."""
        return ElmanCarry(self.activation(x + z))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...], dtype: DTypeLike) -> ElmanCarry:
        return ElmanCarry(jnp.zeros((*shape[:-1], self.features), dtype))
