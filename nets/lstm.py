"""Long short-term memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.cell import Cell, gates, glorot_gates, orthogonal_gates, tanh


class LSTMCarry(NamedTuple):
    """What an LSTM remembers: the cell state c and the output h, each [B, H]."""

    c: jax.Array
    h: jax.Array


class LSTM(Cell):
    """LSTM cell with forget gates (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

        i, f, g, o = x_t W + h_{t-1} R + b
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    The variant without peepholes, as in Zaremba et al. 2014. W is `kernel` [D, 4H], R
    `recurrent_kernel` [H, 4H], b `bias` [4H], one only (cuDNN and torch add two); their columns
    are the gates in the order i f g o. The gates of W start as Glorot and Bengio 2010, those of R
    orthogonal, b at zero but for the forget gate.

    Attributes:
        features: number of units H.
        forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015); it is part of b,
            nothing is added later.
    """

    forget_bias: float = 1.0

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        h = self.features
        return {
            "kernel": self.param("kernel", glorot_gates(4), (shape[-1], 4 * h), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", orthogonal_gates, (h, 4 * h), dtype),
            "bias": self.param("bias", self._initial_bias, (4 * h,), dtype),
        }

    @nn.nowrap
    def combine(self, weights: dict, carry: LSTMCarry, z: jax.Array, x: jax.Array) -> LSTMCarry:
        """The next carry, from z = h_{t-1} R and the projected input, each [B, 4H]."""
        i, f, g, o = gates(x + z, "ssts")
        c = f * carry.c + i * g
        return LSTMCarry(c, o * tanh(c))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...], dtype: DTypeLike) -> LSTMCarry:
        zeros = jnp.zeros((*shape[:-1], self.features), dtype)
        return LSTMCarry(zeros, zeros)

    @nn.nowrap
    def _initial_bias(self, key, shape, dtype):
        gate = slice(self.features, 2 * self.features)
        return jnp.zeros(shape, dtype).at[gate].set(self.forget_bias)
