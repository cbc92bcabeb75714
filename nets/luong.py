"""Sequence to sequence with attention after the decoder's step, global or local.

Symbol 0 is padding: sources are read up to their first 0, and targets begin and end with it.
`nets.layers.decoding.decode` generates targets by the methods `start` and `step`.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.gru import GRU
from nets.layers.attention import Attention
from nets.layers.attention_local import LocalAttention
from nets.layers.attention_scores import Additive, Dot, General
from nets.layers.checks import check_choice
from nets.layers.linear import dense
from nets.layers.recurrent import Recurrent
from nets.layers.sequence import output_layer, shift_right, source_mask
from nets.lstm import LSTM
from nets.seq2seq import Memory

Score = Literal["additive", "dot", "general", "scaled_dot"]
Scope = Literal["global", "local-m", "local-p"]


class LuongCarry(NamedTuple):
    """Carry of the decoder.

    Attributes:
        recurrent: carry of its layers (`nets.layers.recurrent.Recurrent`).
        attended: [N, H], h~ of the previous step.
        time: [N] int32, number of steps so far.
    """

    recurrent: tuple
    attended: jax.Array
    time: jax.Array


class Luong(nn.Module):
    """Attention after the decoder's step (Luong, Pham and Manning 2015, section 3).

        h'_1 .. h'_S = encoder(E x_1 .. x_S); its last carry is the decoder's first carry
        h_t = decoder([E y_{t-1}, h~_{t-1}]), without h~ if not `input_feeding`
        a_t = softmax of score(h_t, h'_s) over all of the source or (section 3.2) a window of it
        c_t = sum_s a_ts h'_s
        h~_t = tanh(W_c [c_t, h_t])
        logits of y_t = W_s h~_t + b

    Dropout acts on both embeddings, between layers and on h~. Stages: encoder [B, S, H] and weights
    [B, U, S].

    >>> model, x, key = Luong(num_classes=7, vocab_size=7), jnp.ones((2, 9), int), jax.random.key(0)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, x, train=False))[0].shape
    (2, 9, 7)

    Attributes:
        num_classes: number of different symbols of the targets. None means that the data fills it
            in.
        vocab_size: number of different symbols of the sources. None means that the data fills it
            in.
        cell: the cell of encoder and decoder.
        layers: number of recurrent layers of encoder and decoder.
        embedding: size of both embeddings.
        score: score function (`nets.layers.attention_scores`); additive is the paper's concat.
        attention: global; local-m, a window around step t; local-p, a window around a predicted
            position.
        window: number of source positions on each side of that position.
        input_feeding: whether a step reads h~ of the previous step. Without, training decodes all
            steps in parallel.
        dropout: probability of dropping a unit while training.
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    num_classes: int | None = None
    vocab_size: int | None = None
    cell: LSTM | GRU = LSTM(256)
    layers: int = 1
    embedding: int = 256
    score: Score = "general"
    attention: Scope = "global"
    window: int = 10
    input_feeding: bool = True
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_choice("Luong.score", self.score, Score)
        check_choice("Luong.attention", self.attention, Scope)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        layers = {"cell": self.cell, "layers": self.layers, "dropout": self.dropout}
        self.encoder, self.decoder = Recurrent(**layers, **dtypes), Recurrent(**layers, **dtypes)
        features = self.cell.output_features
        self.source = nn.Embed(self.vocab_size, self.embedding, **dtypes)
        self.target = nn.Embed(self.num_classes, self.embedding, **dtypes)
        if self.score in ("dot", "scaled_dot"):
            score = Dot(scaled=self.score == "scaled_dot", dtype=self.dtype)
        else:
            score = {"general": General, "additive": Additive}[self.score](features, **dtypes)
        if self.attention == "global":
            self.attend = Attention(score)
        else:
            hidden = features if self.attention == "local-p" else None
            self.attend = LocalAttention(score, self.window, hidden, **dtypes)
        self.combine = dense(features, **dtypes, use_bias=False)
        self.output = output_layer(self, self.num_classes)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self, inputs: jax.Array, targets: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Logits [B, U, num_classes], float32 at least, of targets [B, U] after inputs [B, S].

        The logits of step t see the targets before t (teacher forcing). Needs the key `dropout`
        while training if `dropout` is above 0.
        """
        memory, carry = self.start(inputs, train=train)
        y = self._embed(shift_right(targets), train)
        if self.input_feeding:
            scan = nn.scan(
                lambda model, carry, y: model._advance(memory, carry, y, train),
                variable_broadcast="params",
                split_rngs={"params": False, "dropout": True},
                in_axes=1,
                out_axes=1,
            )
            _, (attended, weights) = scan(self, carry, y)
        else:
            h, _ = self.decoder(y, carry.recurrent, train=train)
            times = jnp.broadcast_to(jnp.arange(y.shape[1]), y.shape[:2])
            attended, weights = self._attend(memory, h, times)
        logits = self.output(self.drop(attended, deterministic=not train))
        return (logits, {"encoder": memory.values, "weights": weights}) if stages else logits

    def start(self, inputs: jax.Array, *, train: bool = False) -> tuple[Memory, LuongCarry]:
        """The encoded source and the decoder's carry before its first step, for inputs [B, S]."""
        mask = source_mask(inputs)
        x = self.drop(self.source(inputs), deterministic=not train)
        states, carry = self.encoder(x, lengths=mask.sum(1), train=train)
        attended = jnp.zeros((len(x), states.shape[-1]), self.param_dtype)
        time = jnp.zeros(len(x), jnp.int32)
        memory = Memory(self.attend.project(states), states, mask)
        return memory, LuongCarry(carry, attended, time)

    def step(
        self, memory: Memory, carry: LuongCarry, symbols: jax.Array
    ) -> tuple[LuongCarry, jax.Array, jax.Array]:
        """Carry, logits [N, num_classes] and weights [N, S] after symbols [N] (int32).

        Row n of B in `memory` belongs to rows n N / B to (n + 1) N / B - 1 of the others.
        """
        carry, (attended, weights) = self._advance(
            memory, carry, self._embed(symbols, False), False
        )
        return carry, self.output(attended), weights

    def _embed(self, symbols: jax.Array, train: bool) -> jax.Array:
        return self.drop(self.target(symbols), deterministic=not train)

    def _advance(
        self, memory: Memory, carry: LuongCarry, y: jax.Array, train: bool
    ) -> tuple[LuongCarry, tuple[jax.Array, jax.Array]]:
        """One step on y [N, E]: the carry, h~ [N, H] and attention weights [N, S]."""
        if self.input_feeding:
            y = jnp.concatenate([y, carry.attended.astype(y.dtype)], -1)
        h, recurrent = self.decoder(y[:, None], carry.recurrent, train=train)
        rows = len(memory.mask)
        beams = (rows, len(y) // rows)
        attended, weights = self._attend(memory, h.reshape(*beams, -1), carry.time.reshape(beams))
        attended, weights = attended.reshape(len(y), -1), weights.reshape(len(y), -1)
        after = LuongCarry(recurrent, attended.astype(self.param_dtype), carry.time + 1)
        return after, (attended, weights)

    def _attend(
        self, memory: Memory, h: jax.Array, times: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """h~ [B, Q, H] and attention weights [B, Q, S] of h [B, Q, H] at these times [B, Q]."""
        position = {"position": times.astype(jnp.float32)} if self.attention == "local-m" else {}
        context, weights = self.attend(h, *memory, **position)
        return nn.tanh(self.combine(jnp.concatenate([context, h], -1))), weights
