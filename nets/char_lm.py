"""Language model over characters."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from nets.lstm import LSTM, LSTMCarry

Carry = tuple[LSTMCarry, ...]


class CharLM(nn.Module):
    """Stacked LSTMs that predict the next character (Graves 2013, Karpathy et al. 2015).

    Dropout acts on what enters each LSTM and the output layer, never on the way from one step to
    the next (Zaremba et al. 2014). Embeddings start from N(0, 1).

    Stages: lstm_0, lstm_1, ... [B, T, features], before dropout.

    Attributes:
        vocab_size: number of different characters V.
        embed: size of a character's embedding.
        features: number of units of each LSTM.
        layers: number of LSTMs.
        dropout: probability of dropping a unit while training.
        dtype: what it computes in.
        param_dtype: what it stores, the carry too.
    """

    vocab_size: int | None
    embed: int = 64
    features: int = 256
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

        `carry` is that before the first character, zeros if none; rows where `reset` [B] (bool)
        holds start from zeros. Logits are float32 at least. Needs the key `dropout` while
        training, if there is any.
        """
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        drop = nn.Dropout(self.dropout, deterministic=not train)
        if carry is None:
            carry = self.initial_carry(inputs.shape[0])
        unit = nn.initializers.normal(1.0)
        embedding = nn.Embed(
            self.vocab_size, self.embed, embedding_init=unit, **dtypes, name="embedding"
        )
        x = embedding(inputs)
        outputs, after = {}, []
        for i, before in zip(range(self.layers), carry, strict=True):
            name = f"lstm_{i}"
            x, last = LSTM(self.features, **dtypes, name=name)(drop(x), before, reset)
            outputs[name] = x
            after.append(last)
        dtypes["dtype"] = jnp.promote_types(self.dtype, jnp.float32)
        logits = nn.Dense(self.vocab_size, **dtypes, name="output")(drop(x))
        return (logits, tuple(after), outputs) if stages else (logits, tuple(after))

    @nn.nowrap
    def initial_carry(self, batch_size: int) -> Carry:
        """Zeros for each LSTM, [batch_size, features]."""
        layer = LSTM(self.features, param_dtype=self.param_dtype, parent=None)
        return tuple(layer.initial_carry(batch_size) for _ in range(self.layers))


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
