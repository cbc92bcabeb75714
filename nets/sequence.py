"""Recurrent networks by the shape of inputs and outputs: one or many, to one or many.

Inputs are numbers [..., D], or symbols (int) [...], which are encoded as one-hot vectors
[..., vocab_size].
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.elman import Elman, Jordan, Trace
from nets.gru import GRU, MGU
from nets.layers.recurrent import Backend, Recurrent
from nets.layers.recurrent_cell import layer_traces
from nets.layers.sequence import one_hot, output_layer, recurrent_layers
from nets.lstm import LSTM
from nets.stack_rnn import StackRNN

Carry = tuple


class ManyToOne(nn.Module):
    """Reads a sequence, with one output after its last step.

        h_1 .. h_T = recurrent(x_1 .. x_T)
        y = h_T V + c

    Dropout acts between layers and on h_T. Stages: layer_0, layer_1, ... [B, T, features], and
    "answers" [B, T, num_classes], the outputs if the sequence ended at each step.

    >>> model, x = ManyToOne(num_classes=3, cell=GRU(16)), jnp.zeros((2, 9, 4))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 3)

    Attributes:
        num_classes: number of outputs. None means that the data fills it in.
        cell: the recurrent cell.
        vocab_size: number of different symbols. None means that the data fills it in, or that the
            inputs are numbers.
        layers: number of recurrent layers.
        dropout: probability of dropping a unit while training.
        backend: implementation of the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: computation dtype.
        param_dtype: parameter dtype.
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

        `lengths` [B] (int) are the numbers of valid steps of each row, 0 to T; the output of a row
        of length 0 is c. Needs the key `dropout` while training if `dropout` is above 0.
        """
        x = one_hot(inputs, self.vocab_size, self.dtype)
        _, _, hidden = recurrent_layers(self, name="recurrent")(
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
    """Reads a sequence, with an output after every step.

        h_1 .. h_T = recurrent(x_1 .. x_T)
        y_t = h_t V + c

    Dropout acts between layers and on h_t. Stages: layer_0, layer_1, ... [B, T, features], or with
    `bidirectional` [B, T, 2 features].

    >>> model, key = ManyToMany(num_classes=3, cell=GRU(16)), jax.random.key(0)
    >>> x = jnp.zeros((2, 9, 4))
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, train=False))[0][0].shape
    (2, 9, 3)

    Attributes:
        num_classes: number of outputs. None means that the data fills it in.
        cell: the recurrent cell.
        vocab_size: number of different symbols. None means that the data fills it in, or that the
            inputs are numbers.
        layers: number of recurrent layers.
        bidirectional: whether a second cell of each layer reads backwards (Schuster and Paliwal
            1997).
        lookahead: steps ahead that it reads, at most; None means all.
        dropout: probability of dropping a unit while training.
        backend: implementation of the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    num_classes: int | None = None
    cell: LSTM | GRU | Elman | MGU | Jordan | Trace | StackRNN = LSTM(128)
    vocab_size: int | None = None
    layers: int = 1
    bidirectional: bool = False
    lookahead: int | None = None
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

        `carry` is the carry before the first step; None means zeros. Outputs are float32 at least.
        Needs the key `dropout` while training if `dropout` is above 0.
        """
        x = one_hot(inputs, self.vocab_size, self.dtype)
        h, carry, hidden = self._layers(name="recurrent")(x, carry, train=train, stages=True)
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
        return self._layers(parent=None).initial_carry(shape)

    @nn.nowrap
    def traces(self, carry: Carry) -> dict[str, jax.Array]:
        """The memory of the layers after a step, [B, C] by its name; nothing of most cells."""
        return layer_traces(self.cell, (layer[0] for layer in carry))

    @nn.nowrap
    def _layers(self, **options: Any) -> Recurrent:
        directions = {"bidirectional": self.bidirectional, "lookahead": self.lookahead}
        return recurrent_layers(self, **directions, **options)


class OneToMany(nn.Module):
    """Generates a sequence from one vector or symbol x; each step reads the previous output.

        h_t = recurrent([x, y_{t-1}])    y_0 = 0
        y_t = h_t V + c

    Dropout acts between layers and on h_t.

    >>> model, x = OneToMany(length=9, outputs=3), jnp.zeros((2, 4))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 9, 3)

    Attributes:
        length: number of steps T of the sequence.
        outputs: size of the output of each step.
        cell: the recurrent cell.
        vocab_size: number of different symbols. None means that the data fills it in, or that the
            input is numbers.
        layers: number of recurrent layers.
        dropout: probability of dropping a unit while training.
        backend: implementation of the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: computation dtype.
        param_dtype: parameter dtype.
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

    def setup(self) -> None:
        self.recurrent = recurrent_layers(self)
        self.output = output_layer(self, self.outputs)
        self.drop = nn.Dropout(self.dropout)

    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs [B, D] or [B] (int) to [B, length, outputs], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0.
        """
        x = one_hot(inputs, self.vocab_size, self.dtype)

        def step(model, state, _):
            carry, y = state
            inputs = jnp.concatenate([x, y.astype(x.dtype)], axis=-1)[:, None]
            h, carry = model.recurrent(inputs, carry, train=train)
            y = model.output(model.drop(h[:, 0], deterministic=not train))
            return (carry, y), y

        carry = recurrent_layers(self, parent=None).initial_carry(
            (len(x), x.shape[-1] + self.outputs)
        )
        y = jnp.zeros((len(x), self.outputs), jnp.promote_types(self.dtype, jnp.float32))
        return _scan(step, self.length)(self, (carry, y), None)[1]


def _scan(step: Callable, length: int) -> Callable:
    """A scan of step(model, state, _) whose weights are the same at every step."""
    return nn.scan(
        step,
        variable_broadcast="params",
        split_rngs={"params": False, "dropout": True},
        out_axes=1,
        length=length,
    )
