"""Long short-term memory-network: an LSTM that attends to its own past."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.attention import masked_softmax, weighted_sum
from nets.layers.attention_scores import additive
from nets.layers.checks import check_at_least
from nets.layers.recurrent_cell import (
    Cell,
    add_bias,
    gates,
    glorot_gates,
    matmul,
    orthogonal_gates,
    tanh,
)


class LSTMNCarry(NamedTuple):
    """Carry of `LSTMN`: its tapes, of which the newest step is last, and what it last read.

    Attributes:
        hidden: the hidden tape, h of the last steps, [B, span, H].
        memory: the memory tape, c of the last steps, [B, span, H].
        keys: W_h h of the last steps, [B, span, A].
        filled: 1 where the tapes have a step, else 0, [B, span].
        summary: h~ of the last step, [B, H].
        weights: its attention to the tapes as they were before it, [B, span].
    """

    hidden: jax.Array
    memory: jax.Array
    keys: jax.Array
    filled: jax.Array
    summary: jax.Array
    weights: jax.Array

    @property
    def h(self) -> jax.Array:
        """The output [B, H] of the last step."""
        return self.hidden[:, -1]


class LSTMN(Cell):
    """LSTM with intra-attention (Cheng, Dong and Lapata 2016, section 3.1, equations 3 to 9).

        a_i = v^T tanh(W_h h_i + W_x x_t + W_s h~_{t-1})    for the last `span` steps i < t
        s = softmax(a),    h~_t = sum_i s_i h_i,    c~_t = sum_i s_i c_i
        i, f, g, o = x_t W + h~_t R + b
        c_t = sigmoid(f) * c~_t + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    The paper's tapes hold all of a sentence; here the last `span` steps, whichever sentence they
    are of. Their fusion with the tapes of an encoder (section 4) is not part of it. Before the
    first step h~ and c~ are zeros. W is `kernel` [D, 4H], R `recurrent_kernel` [H, 4H], b `bias`
    [4H], in the order i f g o and initialised as an `LSTM`'s; W_x is `query_kernel` [D, A], W_h
    `key_kernel` and W_s `summary_kernel` [H, A], Glorot uniform, and v `score` [A], uniform up to
    1 / sqrt(A). `attention` is s, with a zero for step t itself.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(LSTMN(16, span=4)), jnp.zeros((2, 5, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 16)

    Attributes:
        features: number of units H.
        span: number of earlier steps that the tapes hold.
        hidden: size A of the score's hidden layer. None means H.
        forget_bias: initial bias of the forget gate, as a part of b.
    """

    span: int = 32
    hidden: int | None = None
    forget_bias: float = 1.0

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        """Declares the weights.

        Raises:
            ValueError: `span` or `hidden` is below 1.
        """
        check_at_least("span", self.span, 1)
        check_at_least("hidden", self._hidden, 1)
        d, h, a = shape[-1], self.features, self._hidden
        glorot = nn.initializers.glorot_uniform()
        declared = {
            "kernel": (glorot_gates(4), (d, 4 * h)),
            "recurrent_kernel": (orthogonal_gates, (h, 4 * h)),
            "bias": (self._initial_bias, (4 * h,)),
            "query_kernel": (glorot, (d, a)),
            "key_kernel": (glorot, (h, a)),
            "summary_kernel": (glorot, (h, a)),
            "score": (_uniform, (a,)),
        }
        return {
            name: self.param(name, init, size, dtype) for name, (init, size) in declared.items()
        }

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> jax.Array:
        """x_t W + b and x_t W_x, side by side, [..., 4H + A]."""
        z = add_bias(matmul(x, weights["kernel"]), weights["bias"])
        return jnp.concatenate([z, matmul(x, weights["query_kernel"])], -1)

    @nn.nowrap
    def update(self, weights: dict, carry: LSTMNCarry, x: jax.Array) -> LSTMNCarry:
        z, query = jnp.split(x, [4 * self.features], -1)
        hidden, keys, summary = (
            a.astype(x.dtype) for a in (carry.hidden, carry.keys, carry.summary)
        )
        scores = additive(query + summary @ weights["summary_kernel"], keys, weights["score"])
        attention = masked_softmax(scores, carry.filled > 0)  # zeros where there is no step yet
        summary, kept = (weighted_sum(attention, tape) for tape in (hidden, carry.memory))
        i, f, g, o = gates(z + summary @ weights["recurrent_kernel"], "ssts")
        c = f * kept + i * g
        h = (o * tanh(c)).astype(x.dtype)
        newest = (h, c, h @ weights["key_kernel"], jnp.ones_like(carry.filled[:, 0], x.dtype))
        tapes = (
            jnp.concatenate([tape[:, 1:], new[:, None]], 1)
            for tape, new in zip((hidden, carry.memory, keys, carry.filled), newest, strict=True)
        )
        return LSTMNCarry(*tapes, summary, attention)

    @nn.nowrap
    def attention(self, carry: LSTMNCarry) -> jax.Array:
        return jnp.pad(carry.weights, ((0, 0), (0, 1)))  # none to the step itself

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> LSTMNCarry:
        b, h = shape[0], self.features
        tape, steps = jnp.zeros((b, self.span, h)), jnp.zeros((b, self.span))
        keys = jnp.zeros((b, self.span, self._hidden))
        return LSTMNCarry(tape, tape, keys, steps, jnp.zeros((b, h)), steps)

    @property
    def _hidden(self) -> int:
        return self.features if self.hidden is None else self.hidden

    @nn.nowrap
    def _initial_bias(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        h = self.features
        return jnp.zeros(shape, dtype).at[h : 2 * h].set(self.forget_bias)


def _uniform(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
    limit = shape[-1] ** -0.5
    return jax.random.uniform(key, shape, dtype, -limit, limit)
