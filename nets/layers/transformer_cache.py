"""The cache of a Transformer's decoder, which reads and writes one symbol at a time."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from nets.layers.transformer_layer import KeysValues, Memory


class DecoderCarry(NamedTuple):
    """Carry of a decoder: the symbols so far, their keys and values.

    Attributes:
        caches: of each layer their keys and values, [N, heads, context, ...].
        symbols: [N, context] int32, themselves, the newest last.
        time: [N] int32, how many of them the caches hold, the same number in all rows.
    """

    caches: tuple[KeysValues, ...]
    symbols: jax.Array
    time: jax.Array


def read(model: Any, symbols: jax.Array, memory: Memory | None) -> DecoderCarry:
    """The carry of a model's decoder after symbols [N, T], T at most its `context`.

    The model has the fields `context`, `layers`, `heads`, `features` and `dtype`, and the modules
    `embedding` (`nets.layers.positions`) and `decoder` (a `TransformerStack`).
    """
    n, length = symbols.shape
    room = model.context - length
    if length:
        caches = model.decoder(model.embedding(symbols), None, memory)[2]
        pad = ((0, 0), (0, 0), (0, room), (0, 0))
        caches = jax.tree.map(lambda a: jnp.pad(a.swapaxes(1, 2), pad), tuple(caches))
    else:
        shape = (n, model.heads, room, model.features // model.heads)
        caches = tuple(
            KeysValues(jnp.zeros(shape, model.dtype), jnp.zeros(shape, model.dtype))
            for _ in range(model.layers)
        )
    symbols = jnp.pad(symbols.astype(jnp.int32), ((0, 0), (room, 0)))
    return DecoderCarry(caches, symbols, jnp.full(n, length, jnp.int32))


def advance(
    model: Any, carry: DecoderCarry, symbols: jax.Array, memory: Memory | None
) -> tuple[DecoderCarry, jax.Array, list[jax.Array]]:
    """The carry, outputs [N, 1, D] and each layer's weights after symbols [N].

    A full cache is filled anew with the newer half of its symbols, from position 0 on.
    """

    def refilled(model, carry):
        return read(model, carry.symbols[:, -(model.context // 2) :], memory)

    full = carry.time[0] >= model.context
    carry = nn.cond(full, refilled, lambda model, carry: carry, model, carry)
    time = carry.time[0]
    x = model.embedding(symbols[:, None], time)
    y, caches, weights = model.decoder.step(x, carry.caches, time, memory)
    newest = jnp.concatenate([carry.symbols[:, 1:], symbols[:, None].astype(jnp.int32)], 1)
    return DecoderCarry(caches, newest, carry.time + 1), y, weights


def mean_weights(weights: list[jax.Array]) -> jax.Array:
    """The mean over layers and heads, [B, Q, K], of weights [B, heads, Q, K] of each layer."""
    return sum(w.mean(1) for w in weights) / len(weights)
