"""Long short-term memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.typing import DTypeLike


class LSTMCarry(NamedTuple):
    """What an LSTM layer remembers: the cell state c and the output h, each [B, H]."""

    c: jax.Array
    h: jax.Array


class LSTM(nn.Module):
    """LSTM layer with forget gates (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

        i, f, g, o = x_t W + h_{t-1} R + b
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    The variant without peepholes, as in Zaremba et al. 2014. W is `kernel` [D, 4H], R
    `recurrent_kernel` [H, 4H], b `bias` [4H], one only (cuDNN and torch add two); their columns
    are the gates in the order i f g o. The gates of R start orthogonal, b at zero but for the
    forget gate.

    Attributes:
        features: number of units H.
        forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015); it is part of b,
            nothing is added later.
        dtype: what it computes in.
        param_dtype: what it stores, the carry too: a sum over the whole sequence.
    """

    features: int
    forget_bias: float = 1.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, carry: LSTMCarry | None = None, reset: jax.Array | None = None
    ) -> tuple[jax.Array, LSTMCarry]:
        """Runs over x [B, T, D]: outputs h [B, T, H] and the carry after step T - 1.

        `carry` is that before step 0, zeros if none; rows where `reset` [B] (bool) holds start
        from zeros.
        """
        features = self.features
        kernel = self.param(
            "kernel",
            nn.initializers.lecun_normal(),
            (x.shape[-1], 4 * features),
            self.param_dtype,
        )
        recurrent_kernel = self.param(
            "recurrent_kernel", _orthogonal_gates, (features, 4 * features), self.param_dtype
        )
        bias = self.param("bias", self._initial_bias, (4 * features,), self.param_dtype)
        if carry is None:
            carry = self.initial_carry(x.shape[0])
        if reset is not None:
            carry = jax.tree.map(lambda a: jnp.where(reset[:, None], 0, a), carry)
        carry = jax.tree.map(lambda a: a.astype(self.param_dtype), carry)
        x, kernel, recurrent_kernel, bias = promote_dtype(
            x, kernel, recurrent_kernel, bias, dtype=self.dtype
        )

        def cell(carry, xw):  # xw [B, 4H]
            gates = xw + carry.h.astype(xw.dtype) @ recurrent_kernel
            i, f, g, o = jnp.split(gates, 4, axis=-1)
            c = nn.sigmoid(f) * carry.c + nn.sigmoid(i) * jnp.tanh(g)
            h = nn.sigmoid(o) * jnp.tanh(c)
            carry = LSTMCarry(c.astype(self.param_dtype), h.astype(self.param_dtype))
            return carry, h.astype(xw.dtype)

        xw = x.swapaxes(0, 1) @ kernel + bias[None, None]  # [T, B, 4H]
        carry, outputs = lax.scan(cell, carry, xw)
        return outputs.swapaxes(0, 1), carry

    def step(self, carry: LSTMCarry, x: jax.Array) -> tuple[LSTMCarry, jax.Array]:
        """One step over x [B, D], for streams: the next carry and h [B, H], as `lax.scan` wants."""
        outputs, carry = self(x[:, None], carry)
        return carry, outputs[:, 0]

    @nn.nowrap
    def initial_carry(self, batch_size: int) -> LSTMCarry:
        """Zeros of `param_dtype`, [batch_size, H] each."""
        shape = (batch_size, self.features)
        return LSTMCarry(jnp.zeros(shape, self.param_dtype), jnp.zeros(shape, self.param_dtype))

    @nn.nowrap
    def _initial_bias(self, key, shape, dtype):
        gate = slice(self.features, 2 * self.features)
        return jnp.zeros(shape, dtype).at[gate].set(self.forget_bias)


def _orthogonal_gates(key, shape, dtype):
    features = shape[0]
    init = nn.initializers.orthogonal()
    keys = jax.random.split(key, 4)
    return jnp.concatenate([init(k, (features, features), dtype) for k in keys], axis=-1)
