"""A cell without parameters, whose outputs show the inputs and the carry that it received."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from nets.layers.recurrent_cell import Cell


class Total(NamedTuple):
    h: jax.Array


class Accumulator(Cell):
    """h_t = h_{t-1} + x_t, of any width, without weights."""

    @nn.nowrap
    def weights(self, shape, dtype):
        return {}

    @nn.nowrap
    def project(self, weights, x):
        return x

    @nn.nowrap
    def update(self, weights, carry, x):
        return Total(carry.h + x)

    @nn.nowrap
    def initial_carry(self, shape):
        return Total(jnp.zeros(shape))
