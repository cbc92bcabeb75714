"""Sequence to sequence with attention before the decoder's step: RNNsearch.

Symbol 0 is padding: sources are read up to their first 0, and targets begin and end with it.
`nets.layers.decoding.decode` generates targets by the methods `start` and `step`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.gru import GRU
from nets.layers.attention import Attention
from nets.layers.attention_scores import Additive
from nets.layers.checks import check_probability
from nets.layers.linear import dense
from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_cell import Carry, matmul
from nets.layers.sequence import output_layer, shift_right, source_mask
from nets.lstm import LSTM


class Memory(NamedTuple):
    """The encoded source, which the decoder attends to in every step.

    Attributes:
        keys: [B, S, A], the states as projected by the score.
        values: [B, S, D], the states, zeros at padding.
        mask: [B, S] (bool), false at padding.
    """

    keys: jax.Array
    values: jax.Array
    mask: jax.Array


class Bahdanau(nn.Module):
    """RNNsearch (Bahdanau, Cho and Bengio 2015, section 3 and appendix A).

        h_1 .. h_S = both directions of a GRU over the source's embeddings
        s_0 = tanh(W_s h'_1 + b_s), of the backward direction's last state
        e_ij = v^T tanh(W_a s_{i-1} + U_a h_j),  a_i = softmax(e_i),  c_i = sum_j a_ij h_j
        s_i = cell([E y_{i-1}, c_i], s_{i-1})
        t_i = U_o s_i + V_o E y_{i-1} + C_o c_i + b_o
        logits of y_i = W_o max(t_i,2k, t_i,2k+1) + b

    The paper's readout reads s_{i-1} instead of s_i. Without attention every step has the same
    context, the last states of both directions (Cho et al. 2014 has one direction). Dropout acts on
    both embeddings and on the input of W_o. Stages: encoder [B, S, 2H] and weights [B, U, S], a.

    >>> model, key = Bahdanau(num_classes=7, vocab_size=7), jax.random.key(0)
    >>> x = jnp.ones((2, 9), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, x, train=False))[0].shape
    (2, 9, 7)

    Attributes:
        num_classes: number of different symbols of the targets. None means that the data fills it
            in.
        vocab_size: number of different symbols of the sources. None means that the data fills it
            in.
        cell: the cell of encoder and decoder, without layer normalisation; the paper's is
            GRU(reset="before", update_gate="replace").
        embedding: features of both embeddings.
        hidden: size A of the additive score.
        readout: number of maxout units, each the maximum of two.
        attention: whether the decoder has attention.
        dropout: probability of dropping a unit while training.
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    num_classes: int | None = None
    vocab_size: int | None = None
    cell: GRU | LSTM = GRU(256)
    embedding: int = 256
    hidden: int = 256
    readout: int = 256
    attention: bool = True
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_probability("Bahdanau.dropout", self.dropout)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        if isinstance(self.cell, GRU | LSTM) and self.cell.layer_norm:
            raise ValueError("Bahdanau.cell.layer_norm must be False, got True")
        self.source = nn.Embed(self.vocab_size, self.embedding, **dtypes)
        self.target = nn.Embed(self.num_classes, self.embedding, **dtypes)
        self.encoder = Recurrent(self.cell, bidirectional=True, **dtypes)
        self.decoder = self.cell.clone()
        self.initial = nn.Dense(self.cell.output_features, **dtypes)
        if self.attention:
            self.attend = Attention(Additive(self.hidden, **dtypes))
        self.state_out, self.symbol_out, self.context_out = (
            dense(2 * self.readout, **dtypes, use_bias=i == 0) for i in range(3)
        )
        self.output = output_layer(self, self.num_classes)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self, inputs: jax.Array, targets: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Logits [B, U, num_classes], float32 at least, of targets [B, U] after inputs [B, S].

        The logits of step i see the targets before i (teacher forcing). Needs the key `dropout`
        while training if `dropout` is above 0.
        """
        memory, carry = self.start(inputs, train=train)
        y = self._embed(shift_right(targets), train)
        weights, kernel = self._weights(memory, y)
        z = self.cell.project(weights, y)  # [B, U, G], outside the scan

        def step(model, carry, z):
            carry, context, attention = model._advance(weights, kernel, memory, carry, z)
            return carry, (carry.h, context, attention)

        scan = nn.scan(step, variable_broadcast="params", split_rngs={"params": False},
                       in_axes=1, out_axes=1)  # fmt: skip
        _, (h, context, attention) = scan(self, carry, z)
        logits = self._logits(h, y, context, train)
        return (logits, {"encoder": memory.values, "weights": attention}) if stages else logits

    def start(self, inputs: jax.Array, *, train: bool = False) -> tuple[Memory, Carry]:
        """The encoded source and the decoder's carry before its first step, for inputs [B, S]."""
        mask = source_mask(inputs)
        x = self.drop(self.source(inputs), deterministic=not train)
        states, ((forward, backward),) = self.encoder(x, lengths=mask.sum(1), train=train)
        h = nn.tanh(self.initial(backward.h.astype(self.dtype)))
        carry = self.cell.initial_carry((len(h), self.embedding))._replace(h=h)
        carry = jax.tree.map(lambda a: a.astype(self.param_dtype), carry)
        if self.attention:
            return Memory(self.attend.project(states), states, mask), carry
        context = jnp.concatenate([forward.h, backward.h], -1).astype(self.dtype)[:, None]
        return Memory(context[..., :0], context, mask), carry

    def step(
        self, memory: Memory, carry: Carry, symbols: jax.Array
    ) -> tuple[Carry, jax.Array, jax.Array]:
        """Carry, logits [N, num_classes] and weights [N, S] after symbols [N] (int32).

        Row n of B in `memory` belongs to rows n N / B to (n + 1) N / B - 1 of the others.
        """
        y = self._embed(symbols, False)
        weights, kernel = self._weights(memory, y)
        z = self.cell.project(weights, y)
        carry, context, attention = self._advance(weights, kernel, memory, carry, z)
        return carry, self._logits(carry.h, y, context, False), attention

    def _embed(self, symbols: jax.Array, train: bool) -> jax.Array:
        return self.drop(self.target(symbols), deterministic=not train)

    def _weights(self, memory: Memory, y: jax.Array) -> tuple[dict, jax.Array]:
        """The cell's weights with the kernel's rows for symbols, and its rows for the context."""
        shape = (len(y), y.shape[-1] + memory.values.shape[-1])
        weights = self.decoder.weights(shape, self.param_dtype)
        weights = {k: a.astype(self.dtype) for k, a in weights.items()}
        of_symbols, of_context = jnp.split(weights["kernel"], [y.shape[-1]])
        return weights | {"kernel": of_symbols}, of_context

    def _advance(
        self, weights: dict, kernel: jax.Array, memory: Memory, carry: Carry, z: jax.Array
    ) -> tuple[Carry, jax.Array, jax.Array]:
        """The cell's step on z [N, G]: carry, context [N, D] and attention weights [N, S]."""
        n, rows = len(z), len(memory.mask)
        if self.attention:
            query = carry.h.astype(self.dtype).reshape(rows, n // rows, -1)
            context, attention = self.attend(query, *memory)
            context, attention = context.reshape(n, -1), attention.reshape(n, -1)
        else:
            context = jnp.repeat(memory.values[:, 0], n // rows, 0)
            attention = jnp.zeros((n, 0))
        new = self.cell.update(weights, carry, z + matmul(context, kernel))
        return jax.tree.map(lambda a: a.astype(self.param_dtype), new), context, attention

    def _logits(self, h: jax.Array, y: jax.Array, context: jax.Array, train: bool) -> jax.Array:
        t = self.state_out(h.astype(self.dtype)) + self.symbol_out(y) + self.context_out(context)
        t = t.reshape(*t.shape[:-1], self.readout, 2).max(-1)
        return self.output(self.drop(t, deterministic=not train))
