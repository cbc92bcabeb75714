"""Positions in a sequence, for models without recurrence: sinusoidal, learned, rotary."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_choice
from nets.layers.recurrent_cell import matmul

Positions = Literal["learned", "sinusoidal", "rotary"]


class PositionedEmbedding(nn.Module):
    """Vectors of symbols with their positions.

        learned     x_t = E[y_t] + P[t]                  (Gehring et al. 2017; Radford et al. 2018)
        sinusoidal  x_t = sqrt(features) E[y_t] + S(t)   (Vaswani et al. 2017, section 3.5)
        rotary      x_t = E[y_t]; attention has the positions (`rotate`)

    E is `embedding` [vocab_size, features], P `positions` [context, features].

        >>> embed, ids = PositionedEmbedding(7, 4, context=9), jnp.zeros((2, 5), int)
        >>> jax.eval_shape(embed.init_with_output, jax.random.key(0), ids)[0].shape
        (2, 5, 4)

    Attributes:
        vocab_size: number of different symbols.
        features: size of a vector; even for sinusoidal positions.
        context: maximum length of a sequence.
        positions: the kind of positions.
        std: standard deviation of the initial vectors, learned positions among them.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    vocab_size: int
    features: int
    context: int
    positions: Positions = "learned"
    std: float = 0.02
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_choice("positions", self.positions, Positions)
        init = nn.initializers.normal(self.std)
        shape = (self.vocab_size, self.features)
        self.embedding = self.param("embedding", init, shape, self.param_dtype)
        if self.positions == "learned":
            shape = (self.context, self.features)
            self.table = self.param("positions", init, shape, self.param_dtype)

    def __call__(self, symbols: jax.Array, start: int | jax.Array = 0) -> jax.Array:
        """Vectors [B, T, features] of symbols [B, T] (int).

        Args:
            symbols: [B, T].
            start: position of the first of them.

        Raises:
            ValueError: symbols are not integers [B, T], or T is above `context`.
        """
        if symbols.ndim != 2 or not jnp.issubdtype(symbols.dtype, jnp.integer):
            raise ValueError(
                f"symbols must be integers [B, T], got {symbols.dtype} {list(symbols.shape)}"
            )
        length = symbols.shape[1]
        if length > self.context:
            raise ValueError(
                f"a sequence must have at most context={self.context} symbols, got {length}"
            )
        x = jnp.asarray(self.embedding, self.dtype)[symbols]
        if self.positions == "rotary":
            return x
        steps = start + jnp.arange(length)
        if self.positions == "learned":
            return x + jnp.asarray(self.table, self.dtype)[steps][None]
        return x * self.features**0.5 + sinusoidal(steps, self.features).astype(self.dtype)[None]

    def logits(self, x: jax.Array) -> jax.Array:
        """x E^T, [..., vocab_size], float32 at least, of x [..., features]: a tied output layer."""
        wide = jnp.promote_types(self.dtype, jnp.float32)
        return matmul(x.astype(wide), self.embedding.astype(wide).T)


def sinusoidal(steps: jax.Array, features: int) -> jax.Array:
    """S(t) [T, features] of steps t [T] (Vaswani et al. 2017, section 3.5), float32 at least.

        S(t)_2i = sin(t / 10000^(2i / features)),    S(t)_2i+1 = cos(t / 10000^(2i / features))

        >>> sinusoidal(jnp.zeros(1), 4).tolist()
        [[0.0, 1.0, 0.0, 1.0]]

    Raises:
        ValueError: `features` is odd.
    """
    if features % 2:
        raise ValueError(f"features must be even for sinusoidal positions, got {features}")
    angles = _angles(steps, features)
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1).reshape(len(steps), features)


def rotate(x: jax.Array, steps: jax.Array) -> jax.Array:
    """Rotary positions (Su et al. 2021, equation 34): x [B, T, heads, F] at steps t [T].

    Channels 2i and 2i + 1 are turned by the angle t / 10000^(2i / F), so that the product of a
    query and a key depends on their distance alone.

        >>> rotate(jnp.ones((1, 1, 1, 2)), jnp.array([jnp.pi / 2])).round(3).tolist()
        [[[[-1.0, 1.0]]]]

    Raises:
        ValueError: F is odd.
    """
    if x.shape[-1] % 2:
        raise ValueError(f"features / heads must be even for rotary positions, got {x.shape[-1]}")
    angles = _angles(steps, x.shape[-1])[None, :, None]  # [1, T, 1, F / 2]
    sin, cos = jnp.sin(angles).astype(x.dtype), jnp.cos(angles).astype(x.dtype)
    even, odd = x[..., ::2], x[..., 1::2]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)


def _angles(steps: jax.Array, features: int) -> jax.Array:
    """t / 10000^(2i / features), [T, features / 2]."""
    dtype = jnp.result_type(float)
    powers = jnp.arange(0, features, 2, dtype=dtype) / features
    return steps.astype(dtype)[:, None] / (10000.0**powers)[None]
