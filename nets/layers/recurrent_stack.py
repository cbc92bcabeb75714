"""Recurrent layers over a whole sequence or a stream: forward, both ways, or a few steps ahead."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_cell import Cell
from nets.layers.recurrent_stream import Streamed, delay, stream_carry, stream_step


class RecurrentStack(nn.Module):
    """A stack of `nets.layers.recurrent.Recurrent`, each of one layer, so that it can be streamed.

    With `lookahead` each layer reads k steps ahead and is late by k in a stream, so that the stack
    is late by `layers` times k.

    Attributes:
        cell: the recurrent cell.
        layers: number of layers.
        bidirectional: whether a second cell of each layer reads backwards.
        lookahead: steps ahead that it reads, at most; None means all.
        dropout: probability of dropping a unit between layers while training.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    cell: Cell
    layers: int = 1
    bidirectional: bool = False
    lookahead: int | None = None
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.recurrent = [self._layer() for _ in range(self.layers)]
        self.drop = nn.Dropout(self.dropout)

    @nn.nowrap
    def _layer(self, **options: Any) -> Recurrent:
        directions = {"bidirectional": self.bidirectional, "lookahead": self.lookahead}
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return Recurrent(self.cell, **directions, **dtypes, **options)

    def __call__(self, x: jax.Array, *, lengths: jax.Array | None = None, train: bool) -> jax.Array:
        """Outputs [B, T, F] of x [B, T, D]; `lengths` [B] (int) are the steps of each row.

        Needs the key `dropout` while training if `dropout` is above 0.
        """
        for i, layer in enumerate(self.recurrent):
            x = self.drop(x, deterministic=not train) if i else x
            x, _ = layer(x, lengths=lengths, train=train)
        return x

    @property
    def delay(self) -> int:
        """Steps by which a stream is late.

        Raises:
            ValueError: it reads backwards from the end.
        """
        return self.layers * delay(self._layer(parent=None))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, int]) -> tuple[Streamed, ...]:
        """The carry before the first step of a stream, for inputs [B, D] of one step."""
        layer, carry = self._layer(parent=None), []
        for _ in range(self.layers):
            carry.append(stream_carry(layer, shape))
            shape = shape[0], self.cell.output_features * (1 + self.bidirectional)
        return tuple(carry)

    def step(
        self, carry: tuple[Streamed, ...], x: jax.Array, valid: jax.Array
    ) -> tuple[tuple[Streamed, ...], jax.Array, jax.Array]:
        """One step of a stream, in evaluation.

        Args:
            carry: that of the step before.
            x: [B, D].
            valid: [B] (bool), whether the step exists; false `delay` times after the end.

        Returns:
            the carry, the output [B, F] of the step that was `delay` steps ago, and whether that
            exists [B].
        """
        after = []
        for layer, before in zip(self.recurrent, carry, strict=True):
            new, x, valid = stream_step(layer, before, x, valid)
            after.append(new)
        return tuple(after), x, valid
