"""Language model over characters."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from nets.elman import Elman
from nets.gru import GRU
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM

Carry = tuple


class CharLM(nn.Module):
    """Stacked recurrent layers that predict the next character (Graves 2013, Karpathy et al. 2015).

    Dropout acts on what enters each layer and the output, never on the way from one step to the
    next (Zaremba et al. 2014). Embeddings start from N(0, 1).

    Stages: layer_0, layer_1, ... [B, T, cell.features], before dropout.

    Attributes:
        vocab_size: number of different characters V.
        cell: the recurrent cell.
        embed: size of a character's embedding.
        layers: number of recurrent layers.
        dropout: probability of dropping a unit while training.
        dtype: what it computes in.
        param_dtype: what it stores, the carry too.
    """

    vocab_size: int | None
    cell: LSTM | GRU | Elman = LSTM(256)
    embed: int = 64
    layers: int = 2
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: jax.Array,
        carry: Carry | None = None,
        reset: jax.Array | None = None,
        *,
        train: bool,
        stages: bool = False,
    ) -> tuple[jax.Array, Carry] | tuple[jax.Array, Carry, dict[str, jax.Array]]:
        """Reads inputs [B, T] (int): logits [B, T, V] of the next characters, and the carry.

        `carry` is that before the first character, zeros if none; rows start from zeros where
        `reset` holds, [B, T] or, for the first step alone, [B] (bool). Logits are float32 at
        least. Needs the key `dropout` while training, if there is any.
        """
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        drop = nn.Dropout(self.dropout, deterministic=not train)
        unit = nn.initializers.normal(1.0)
        embedding = nn.Embed(
            self.vocab_size, self.embed, embedding_init=unit, **dtypes, name="embedding"
        )
        x, carry, outputs = self._recurrent(name="recurrent")(
            drop(embedding(inputs)), carry, reset=reset, train=train, stages=True
        )
        dtypes["dtype"] = jnp.promote_types(self.dtype, jnp.float32)
        logits = nn.Dense(self.vocab_size, **dtypes, name="output")(drop(x))
        if not stages:
            return logits, carry
        return logits, carry, {f"layer_{i}": x for i, x in enumerate(outputs)}

    @nn.nowrap
    def initial_carry(self, batch_size: int) -> Carry:
        """The carry before the first character, zeros, [batch_size, ...] for each layer."""
        return self._recurrent(parent=None).initial_carry((batch_size, self.embed))

    @nn.nowrap
    def _recurrent(self, **where) -> Recurrent:
        return Recurrent(
            self.cell,
            self.layers,
            dropout=self.dropout,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            **where,
        )


def generate(
    model: CharLM,
    params: dict,
    key: jax.Array,
    prompt: jax.Array,
    length: int,
    temperature: ArrayLike,
) -> jax.Array:
    """Continues prompt [1, P] (int, P > 0) by `length` characters drawn one by one: ids [length].

    Characters are drawn from softmax(logits / temperature); temperature 0 takes the likeliest.
    """

    def draw(key, logits):  # [1, V]
        scaled = logits / jnp.where(temperature == 0, 1, temperature)
        drawn = jax.random.categorical(key, scaled)
        return jnp.where(temperature == 0, jnp.argmax(logits, -1), drawn).astype(jnp.int32)

    def step(state, key):
        carry, logits = state
        character = draw(key, logits)
        logits, carry = model.apply({"params": params}, character[:, None], carry, train=False)
        return (carry, logits[:, -1]), character[0]

    logits, carry = model.apply({"params": params}, prompt, train=False)
    _, ids = lax.scan(step, (carry, logits[:, -1]), jax.random.split(key, length))
    return ids
