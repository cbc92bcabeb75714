"""Recurrent networks by the shape of what goes in and what comes out: one or many.

Inputs are numbers [..., D], or symbols (int), which are read as one-hot vectors [..., vocab_size].
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.elman import Elman, Jordan, Trace
from nets.gru import GRU, MGU
from nets.layers.recurrent import Backend, Recurrent
from nets.layers.sequence import one_hot, output_layer, shift_right, source_mask
from nets.lstm import LSTM

Carry = tuple


class ManyToOne(nn.Module):
    """Reads a sequence and answers at its end.

        h_1 .. h_T = recurrent(x_1 .. x_T)
        y = h_T V + c

    Dropout acts between layers and on h_T. Stages: layer_0, layer_1, ... [B, T, features], and
    "answers" [B, T, num_classes], what it would answer after each step.

    Attributes:
        num_classes: number of outputs.
        cell: the recurrent cell.
        vocab_size: number of different symbols, where the inputs are symbols.
        layers: number of recurrent layers.
        dropout: probability of dropping a unit while training.
        backend: what runs the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    num_classes: int | None = None
    cell: LSTM | GRU | Elman | MGU | Jordan | Trace = LSTM(128)
    vocab_size: int | None = None
    layers: int = 1
    dropout: float = 0.0
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: jax.Array,
        *,
        lengths: jax.Array | None = None,
        train: bool,
        stages: bool = False,
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps inputs [B, T, D] or [B, T] (int) to [B, num_classes], float32 at least.

        `lengths` [B] (int) are the steps that each row really has, 0 to T; a row of none is
        answered with c alone. Needs the key `dropout` while training, if there is any.
        """
        x = one_hot(inputs, self.vocab_size, self.dtype)
        _, _, hidden = _recurrent(self, name="recurrent")(
            x, lengths=lengths, train=train, stages=True
        )
        h, head = hidden[-1], output_layer(self, self.num_classes, name="output")
        if lengths is None:
            last = h[:, -1]
        else:
            last = jnp.take_along_axis(h, lengths[:, None, None] - 1, axis=1)[:, 0]
        y = head(nn.Dropout(self.dropout, deterministic=not train)(last))
        if not stages:
            return y
        return y, {f"layer_{i}": a for i, a in enumerate(hidden)} | {"answers": head(h)}


class ManyToMany(nn.Module):
    """Reads a sequence and answers at every step.

        h_1 .. h_T = recurrent(x_1 .. x_T)
        y_t = h_t V + c

    Dropout acts between layers and on h_t. Stages: layer_0, layer_1, ... [B, T, features].

    Attributes:
        num_classes: number of outputs.
        cell: the recurrent cell.
        vocab_size: number of different symbols, where the inputs are symbols.
        layers: number of recurrent layers.
        dropout: probability of dropping a unit while training.
        backend: what runs the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: what it computes in.
        param_dtype: what it stores, the carry too.
    """

    num_classes: int | None = None
    cell: LSTM | GRU | Elman | MGU | Jordan | Trace = LSTM(128)
    vocab_size: int | None = None
    layers: int = 1
    dropout: float = 0.0
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: jax.Array,
        carry: Carry | None = None,
        *,
        train: bool,
        stages: bool = False,
    ) -> tuple[jax.Array, Carry] | tuple[jax.Array, Carry, dict[str, jax.Array]]:
        """Maps inputs [B, T, D] or [B, T] (int) to [B, T, num_classes], and the last carry.

        `carry` is that before the first step, zeros if none. Outputs are float32 at least. Needs
        the key `dropout` while training, if there is any.
        """
        x = one_hot(inputs, self.vocab_size, self.dtype)
        h, carry, hidden = _recurrent(self, name="recurrent")(x, carry, train=train, stages=True)
        h = nn.Dropout(self.dropout, deterministic=not train)(h)
        y = output_layer(self, self.num_classes, name="output")(h)
        if not stages:
            return y, carry
        return y, carry, {f"layer_{i}": a for i, a in enumerate(hidden)}

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> Carry:
        """The carry before the first step, zeros, for inputs of this shape in one step.

        [B, D], or [B] for symbols.
        """
        shape = shape if len(shape) > 1 else (*shape, self.vocab_size)
        return _recurrent(self, parent=None).initial_carry(shape)


class OneToMany(nn.Module):
    """Unfolds one vector or symbol x into a sequence, and is fed its own outputs.

        h_t = recurrent([x, y_{t-1}])    y_0 = 0
        y_t = h_t V + c

    Dropout acts between layers and on h_t.

    Attributes:
        length: steps T of the sequence.
        outputs: numbers in each step of it.
        cell: the recurrent cell.
        vocab_size: number of different symbols, where the input is a symbol.
        layers: number of recurrent layers.
        dropout: probability of dropping a unit while training.
        backend: what runs the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    length: int
    outputs: int
    cell: LSTM | GRU | Elman | MGU | Jordan | Trace = LSTM(128)
    vocab_size: int | None = None
    layers: int = 1
    dropout: float = 0.0
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self):
        self.recurrent = _recurrent(self)
        self.output = output_layer(self, self.outputs)
        self.drop = nn.Dropout(self.dropout)

    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs [B, D] or [B] (int) to [B, length, outputs], float32 at least.

        Needs the key `dropout` while training, if there is any.
        """
        x = one_hot(inputs, self.vocab_size, self.dtype)

        def step(model, state, _):
            carry, y = state
            given = jnp.concatenate([x, y.astype(x.dtype)], axis=-1)[:, None]
            h, carry = model.recurrent(given, carry, train=train)
            y = model.output(model.drop(h[:, 0], deterministic=not train))
            return (carry, y), y

        carry = _recurrent(self, parent=None).initial_carry((len(x), x.shape[-1] + self.outputs))
        y = jnp.zeros((len(x), self.outputs), jnp.promote_types(self.dtype, jnp.float32))
        return _unrolled(step, self.length)(self, (carry, y), None)[1]


class Seq2Seq(nn.Module):
    """Reads one sequence of symbols, then writes another (Sutskever et al. 2014).

        c = encoder(x_1 .. x_S), its last carry
        h_t = decoder(y_{t-1}) from c    y_0 = 0
        logits of y_t = h_t V + b

    Symbol 0 is none: it fills inputs up to S, which are read up to their first 0, and it ends
    targets. Dropout acts between layers and on h_t.

    Attributes:
        num_classes: number of different symbols of the targets.
        vocab_size: number of different symbols of the inputs.
        cell: the recurrent cell of both.
        layers: number of recurrent layers of each.
        dropout: probability of dropping a unit while training.
        backend: what runs the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    num_classes: int | None = None
    vocab_size: int | None = None
    cell: LSTM | GRU | Elman | MGU | Jordan = LSTM(128)
    layers: int = 1
    dropout: float = 0.0
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self):
        self.encoder = _recurrent(self)
        self.decoder = _recurrent(self)
        self.output = output_layer(self, self.num_classes)
        self.drop = nn.Dropout(self.dropout)

    def __call__(self, inputs: jax.Array, targets: jax.Array, *, train: bool) -> jax.Array:
        """Logits [B, U, num_classes], float32 at least, of targets [B, U] after inputs [B, S].

        Those of step t are given the targets before t (teacher forcing). Needs the key `dropout`
        while training, if there is any.
        """
        x = one_hot(shift_right(targets), self.num_classes, self.dtype)
        _, carry = self.start(inputs, train=train)
        h, _ = self.decoder(x, carry, train=train)
        return self.output(self.drop(h, deterministic=not train))

    def start(self, inputs: jax.Array, *, train: bool = False) -> tuple[tuple[()], Carry]:
        """No memory, and the encoder's carry after inputs [B, S], for `nets.layers.decoding`."""
        x = one_hot(inputs, self.vocab_size, self.dtype)
        return (), self.encoder(x, lengths=source_mask(inputs).sum(1), train=train)[1]

    def step(
        self, memory: tuple[()], carry: Carry, symbols: jax.Array
    ) -> tuple[Carry, jax.Array, jax.Array]:
        """Carry, logits [N, num_classes] and no weights [N, 0] after symbols [N] (int32)."""
        carry, h = self.decoder.step(carry, one_hot(symbols, self.num_classes, self.dtype))
        return carry, self.output(h), jnp.zeros((len(symbols), 0))


def _recurrent(model: Any, **where) -> Recurrent:
    """The recurrent layers that a model's fields describe."""
    fields = ("cell", "layers", "dropout", "backend", "dtype", "param_dtype")
    return Recurrent(**{name: getattr(model, name) for name in fields}, **where)


def _unrolled(step, length: int):
    """A scan of step(model, state, _) whose weights are the same at every step."""
    return nn.scan(
        step,
        variable_broadcast="params",
        split_rngs={"params": False, "dropout": True},
        out_axes=1,
        length=length,
    )
