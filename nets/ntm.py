"""Neural Turing Machine: a recurrent network that reads and writes a memory of slots."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers import memory_addressing as addressing
from nets.layers.checks import check_at_least, check_choice
from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_cell import (
    Cell,
    add_bias,
    glorot_gates,
    layer_traces,
    orthogonal_gates,
    tanh,
)
from nets.layers.sequence import output_layer
from nets.lstm import LSTM, LSTMCarry

Controller = Literal["feedforward", "lstm"]
Carry = tuple


class NTMCarry(NamedTuple):
    """Carry of `NTM`.

    Attributes:
        h: output of the controller [B, H].
        c: cell state of an LSTM controller [B, H]; [B, 0] of a feed-forward one.
        reads: what was read [B, R, M].
        weightings: of the heads that read, then of those that write, [B, R + W, N]. Zeros, as
            before the first step, stand for all of the weight on slot 0.
        memory: [B, M, N].
    """

    h: jax.Array
    c: jax.Array
    reads: jax.Array
    weightings: jax.Array
    memory: jax.Array


class Heads(NamedTuple):
    """The parameters of the heads, those that read and then those that write.

    Attributes:
        keys: [B, R + W, M].
        strengths: of the keys [B, R + W], not negative.
        gates: [B, R + W], from 0, the weighting of the step before, to 1, that by content.
        shifts: [B, R + W, S], sums are one.
        powers: [B, R + W], at least 1.
        erased: [B, W, M], from 0 to 1.
        added: [B, W, M].
    """

    keys: jax.Array
    strengths: jax.Array
    gates: jax.Array
    shifts: jax.Array
    powers: jax.Array
    erased: jax.Array
    added: jax.Array


class NTM(Cell):
    """Neural Turing Machine (Graves, Wayne and Danihelka 2014), its controller and memory.

        h_t = controller(x_t, r_{t-1}, h_{t-1})
        k, beta, g, s, gamma, e, a = h_t U + u, for each head
        w_t = sharpen(shift(interpolate(content(M_{t-1}, k, beta), w_{t-1}, g), s), gamma)
        r_t = w_t M_{t-1},                        for the heads that read
        M_t = M_{t-1} (1 - w_t e) + w_t a,        for those that write
        y_t = [h_t, r_t]

    (`nets.layers.memory_addressing`). A feed-forward controller is h_t = tanh(x_t W + r_{t-1} V +
    b), an LSTM's is `nets.lstm.LSTM` of [x_t, r_{t-1}]. Keys and what is added pass through a tanh,
    beta through softplus, gamma through 1 + softplus. The paper leaves open the order of a step,
    these functions and the beginning; here the memory begins as zeros and heads at slot 0.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(NTM(16, slots=8, width=4)), jnp.zeros((2, 5, 3))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 20)

    Attributes:
        features: units H of the controller.
        controller: feedforward or lstm.
        slots: slots N of the memory.
        width: numbers M in a slot.
        read_heads: heads R that read.
        write_heads: heads W that write.
        shifts: number of shifts S by which a head can move in a step: from -(S - 1) / 2 to
            (S - 1) / 2.
    """

    features: int = 100
    controller: Controller = "feedforward"
    slots: int = 128
    width: int = 20
    read_heads: int = 1
    write_heads: int = 1
    shifts: int = 3

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        """Declares the weights.

        Raises:
            ValueError: a field is out of its range; `shifts` must be odd, and at most `slots`.
        """
        check_choice("controller", self.controller, Controller)
        for field in ("slots", "width", "read_heads", "write_heads", "shifts"):
            check_at_least(field, getattr(self, field), 1)
        if self.shifts % 2 == 0 or self.shifts > self.slots:
            raise ValueError(
                f"shifts must be odd and at most slots={self.slots}, got {self.shifts}"
            )
        h, read = self.features, self.read_heads * self.width
        glorot, zeros = nn.initializers.glorot_uniform(), nn.initializers.zeros
        if self.controller == "lstm":
            parts, before, bias = 4, h + read, LSTM(h, parent=None).initial_bias
        else:
            parts, before, bias = 1, read, zeros
        heads = sum(self._sizes())

        def recurrent(key, shape, dtype):
            return orthogonal_gates(key, shape, dtype, parts)

        return {
            "kernel": self.param("kernel", glorot_gates(parts), (shape[-1], parts * h), dtype),
            "recurrent_kernel": self.param(
                "recurrent_kernel", recurrent, (before, parts * h), dtype
            ),
            "bias": self.param("bias", bias, (parts * h,), dtype),
            "head_kernel": self.param("head_kernel", glorot, (h, heads), dtype),
            "head_bias": self.param("head_bias", zeros, (heads,), dtype),
        }

    @nn.nowrap
    def update(self, weights: dict, carry: NTMCarry, x: jax.Array) -> NTMCarry:
        carry = jax.tree.map(lambda a: a.astype(x.dtype), carry)
        h, c = self._control(weights, carry, x)
        heads = self.heads(weights, h)
        start = (jnp.arange(self.slots) == 0).astype(x.dtype)
        missing = 1 - carry.weightings.sum(-1, keepdims=True)
        before = carry.weightings + missing * start[None, None]
        content = addressing.content_weighting(carry.memory, heads.keys, heads.strengths)
        w = addressing.interpolate(content, before, heads.gates)
        w = addressing.sharpen(addressing.shift(w, heads.shifts), heads.powers)
        readers, writers = w[:, : self.read_heads], w[:, self.read_heads :]
        reads = addressing.read(carry.memory, readers)
        memory = addressing.write(carry.memory, writers, heads.erased, heads.added)
        return NTMCarry(h, c, reads, w, memory)

    @nn.nowrap
    def heads(self, weights: dict, h: jax.Array) -> Heads:
        """The heads' parameters, from the controller's output [B, H]."""
        count, writers = self.read_heads + self.write_heads, self.write_heads
        z = add_bias(h @ weights["head_kernel"], weights["head_bias"])
        parts, at = [], 0
        for size in self._sizes():
            parts.append(z[:, at : at + size])
            at += size
        keys, strengths, gates, shifts, powers, erased, added = parts
        rows = len(h)
        return Heads(
            jnp.tanh(keys).reshape(rows, count, self.width),
            jax.nn.softplus(strengths),
            jax.nn.sigmoid(gates),
            jax.nn.softmax(shifts.reshape(rows, count, self.shifts), axis=-1),
            1 + jax.nn.softplus(powers),
            jax.nn.sigmoid(erased).reshape(rows, writers, self.width),
            jnp.tanh(added).reshape(rows, writers, self.width),
        )

    @nn.nowrap
    def output(self, weights: dict, carry: NTMCarry) -> jax.Array:
        return jnp.concatenate([carry.h, carry.reads.reshape(len(carry.h), -1)], axis=-1)

    @nn.nowrap
    def traces(self, carry: NTMCarry) -> dict[str, jax.Array]:
        """Where each head is, [B, N]."""
        names = [f"read {k + 1}" for k in range(self.read_heads)]
        names += [f"write {k + 1}" for k in range(self.write_heads)]
        return {name: carry.weightings[:, k] for k, name in enumerate(names)}

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> NTMCarry:
        rows, heads = shape[0], self.read_heads + self.write_heads
        return NTMCarry(
            jnp.zeros((rows, self.features)),
            jnp.zeros((rows, self.features if self.controller == "lstm" else 0)),
            jnp.zeros((rows, self.read_heads, self.width)),
            jnp.zeros((rows, heads, self.slots)),
            jnp.zeros((rows, self.width, self.slots)),
        )

    @property
    def output_features(self) -> int:
        return self.features + self.read_heads * self.width

    @nn.nowrap
    def _control(self, weights: dict, carry: NTMCarry, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The controller's h and c, from the projected input."""
        reads = carry.reads.reshape(len(x), -1)
        if self.controller == "feedforward":
            return tanh(x + reads @ weights["recurrent_kernel"]), carry.c
        z = jnp.concatenate([carry.h, reads], axis=-1) @ weights["recurrent_kernel"]
        new = LSTM(self.features, parent=None).combine({}, LSTMCarry(carry.c, carry.h), z, x)
        return new.h, new.c

    @nn.nowrap
    def _sizes(self) -> tuple[int, ...]:
        """Outputs of the controller for each entry of `Heads`."""
        heads, written = self.read_heads + self.write_heads, self.write_heads * self.width
        return (heads * self.width, heads, heads, heads * self.shifts, heads, written, written)


class MemoryRNN(nn.Module):
    """Recurrent layers with a learned beginning, and an output after every step.

        h^l_t = layer^l([x_t, h^{l-1}_t]),  y_t = [h^1_t, ..., h^L_t] V + c

    The first layer reads x alone. With `NTM` it is a Neural Turing Machine; with `LSTM` the one
    that the paper compares it with, of its number of parameters on four of its five problems (not
    of sorting): h and c before the first step are learned, and so is, of an NTM, what it read.

    >>> from nets.lstm import LSTM
    >>> model, x = MemoryRNN(5, LSTM(16), layers=3), jnp.zeros((2, 9, 4))
    >>> key = jax.random.key(0)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, train=False))[0][0].shape
    (2, 9, 5)

    Attributes:
        num_outputs: number of outputs K. None means that the data fills it in.
        cell: the recurrent cell.
        layers: number of recurrent layers L.
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    num_outputs: int | None = None
    cell: NTM | LSTM = NTM()
    layers: int = 1
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_at_least("MemoryRNN.num_outputs", self.num_outputs, 1)
        check_at_least("MemoryRNN.layers", self.layers, 1)
        self.recurrent = [self._layer() for _ in range(self.layers)]
        self.output = output_layer(self, self.num_outputs)
        initial = {}
        for i in range(self.layers):
            (carry,) = self._zeros(1)[i]
            for name, zeros in carry._asdict().items():
                if name not in ("memory", "weightings") and zeros.size:
                    shape = zeros.shape[1:]
                    initial[i, name] = self.param(
                        f"initial_{name}_{i}", nn.initializers.zeros, shape, self.param_dtype
                    )
        self.initial = initial

    def __call__(
        self, inputs: jax.Array, carry: Carry | None = None, *, train: bool
    ) -> tuple[jax.Array, Carry]:
        """Maps inputs [B, T, D] to logits [B, T, K], float32 at least, and the last carry.

        `carry` is the carry before the first step; None means that of `start`.
        """
        carry = self.start(len(inputs)) if carry is None else carry
        x, outputs, after = inputs.astype(self.dtype), [], []
        for layer, before in zip(self.recurrent, carry, strict=True):
            h, (last,) = layer(x, (before,), train=train)
            outputs.append(h)
            after.append(last)
            x = jnp.concatenate([inputs.astype(self.dtype), h], axis=-1)
        return self.output(jnp.concatenate(outputs, axis=-1)), tuple(after)

    def start(self, rows: int) -> Carry:
        """The carry before the first step of so many rows, as it was learned."""
        carry = []
        for i, zeros in enumerate(self._zeros(rows)):
            (cell,) = zeros
            learned = {
                name: jnp.broadcast_to(value, getattr(cell, name).shape)
                for (layer, name), value in self.initial.items()
                if layer == i
            }
            carry.append((cell._replace(**learned),))
        return tuple(carry)

    @nn.nowrap
    def traces(self, carry: Carry) -> dict[str, jax.Array]:
        """Where the heads are, [B, N] by their names; none without a memory."""
        return layer_traces(self.cell, (layer[0] for layer in carry))

    @nn.nowrap
    def _zeros(self, rows: int) -> Carry:
        """The carries of the layers, zeros."""
        layer = self._layer(parent=None)
        return layer.initial_carry((rows, 1)) * self.layers  # none depends on the inputs

    @nn.nowrap
    def _layer(self, **options: Any) -> Recurrent:
        return Recurrent(self.cell, dtype=self.dtype, param_dtype=self.param_dtype, **options)


def compared_models(units: int, layers: int = 3, heads: int = 1) -> dict[str, MemoryRNN]:
    """Networks as the paper compares them: a machine by each controller, and an LSTM.

    The controllers have 100 units, as the paper's have but for recall and sorting, where some of
    them are larger.

    Args:
        units: units of each layer of the LSTM.
        layers: layers of the LSTM.
        heads: heads of a Turing machine that read; as many write.
    """
    machine = NTM(100, read_heads=heads, write_heads=heads)
    return {
        "feedforward": MemoryRNN(cell=machine),
        "lstm controller": MemoryRNN(cell=machine.clone(controller="lstm")),
        "lstm": MemoryRNN(cell=LSTM(units), layers=layers),
    }
