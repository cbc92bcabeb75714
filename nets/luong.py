"""Sequence to sequence with attention after the decoder's step, global or local.

Symbol 0 fills sources up to S, which are read up to their first 0, begins targets and ends them.
What it writes is found by `nets.layers.decoding.decode`, for which it has `start` and `step`.
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
    """What Luong's decoder remembers.

    Attributes:
        recurrent: that of its layers (`nets.layers.recurrent.Recurrent`).
        attended: [N, H], h~ of the step before.
        time: [N] int32, steps done.
    """

    recurrent: tuple
    attended: jax.Array
    time: jax.Array


class Luong(nn.Module):
    """Attention after the decoder's step (Luong, Pham and Manning 2015, section 3).

        h'_1 .. h'_S = encoder(E x_1 .. x_S); its last carry is the decoder's first
        h_t = decoder([E y_{t-1}, h~_{t-1}]), without h~ if not `input_feeding`
        a_t = softmax of score(h_t, h'_s), all of it or (section 3.2) near a place in the source
        c_t = sum_s a_ts h'_s
        h~_t = tanh(W_c [c_t, h_t])
        logits of y_t = W_s h~_t + b

    Dropout acts on both embeddings, between layers and on h~. Stages: encoder [B, S, H] and weights
    [B, U, S].

    Attributes:
        num_classes: number of different symbols of the targets.
        vocab_size: number of different symbols of the sources.
        cell: the cell of encoder and decoder.
        layers: number of recurrent layers of each.
        embedding: features of both embeddings.
        score: of `nets.layers.attention_scores`; additive is the paper's concat.
        attention: global; local-m around step t; local-p around a position that is predicted.
        window: keys to either side of that place.
        input_feeding: whether a step reads h~ of the step before; without, the whole target is
            decoded at once while training.
        dropout: probability of dropping a unit while training.
        dtype: what it computes in.
        param_dtype: what it stores, the carry too.
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

    def setup(self):
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

        Those of step t are given the targets before t (teacher forcing). Needs the key `dropout`
        while training, if there is any.
        """
        memory, carry = self.start(inputs, train=train)
        y = self._read(shift_right(targets), train)
        if self.input_feeding:
            scan = nn.scan(
                lambda model, carry, y: model._advance(memory, carry, y, train),
                variable_broadcast="params",
                split_rngs={"params": False, "dropout": True},
                in_axes=1,
                out_axes=1,
            )
            _, (attended, looked) = scan(self, carry, y)
        else:
            h, _ = self.decoder(y, carry.recurrent, train=train)
            times = jnp.broadcast_to(jnp.arange(y.shape[1]), y.shape[:2])
            attended, looked = self._attended(memory, h, times)
        logits = self.output(self.drop(attended, deterministic=not train))
        return (logits, {"encoder": memory.values, "weights": looked}) if stages else logits

    def start(self, inputs: jax.Array, *, train: bool = False) -> tuple[Memory, LuongCarry]:
        """What the decoder looks at, and the carry before its first step, for inputs [B, S]."""
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

        Row n of B in `memory` belongs to rows n N / B to (n + 1) N / B - 1 of all others.
        """
        carry, (attended, looked) = self._advance(memory, carry, self._read(symbols, False), False)
        return carry, self.output(attended), looked

    def _read(self, symbols, train):
        return self.drop(self.target(symbols), deterministic=not train)

    def _advance(self, memory, carry, y, train):
        """One step on y [N, E]: the carry, h~ [N, H] and weights [N, S]."""
        if self.input_feeding:
            y = jnp.concatenate([y, carry.attended.astype(y.dtype)], -1)
        h, recurrent = self.decoder(y[:, None], carry.recurrent, train=train)
        rows = len(memory.mask)
        beams = (rows, len(y) // rows)
        attended, looked = self._attended(memory, h.reshape(*beams, -1), carry.time.reshape(beams))
        attended, looked = attended.reshape(len(y), -1), looked.reshape(len(y), -1)
        after = LuongCarry(recurrent, attended.astype(self.param_dtype), carry.time + 1)
        return after, (attended, looked)

    def _attended(self, memory, h, times):
        """h~ [B, Q, H] and weights [B, Q, S] of h [B, Q, H] at these times [B, Q]."""
        place = {"position": times.astype(jnp.float32)} if self.attention == "local-m" else {}
        context, looked = self.attend(h, *memory, **place)
        return nn.tanh(self.combine(jnp.concatenate([context, h], -1))), looked
