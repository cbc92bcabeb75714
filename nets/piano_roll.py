"""Recurrent network over a piano roll: which keys sound in the next frame."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import ArrayLike, DTypeLike

from nets.gru import GRU
from nets.layers.recurrent import Recurrent
from nets.layers.sequence import output_layer
from nets.lstm import LSTM

Carry = tuple


class PianoRollRNN(nn.Module):
    """Reads frames x_t in {0, 1}^keys, with a probability of every key in the next frame.

        h_1 .. h_T = recurrent(x_1 .. x_T),  p(x_{t+1, k} = 1) = sigmoid(h_t V + c)_k

    The keys of a frame are independent of each other, given h_t: the LSTM and the GRU of Bai et al.
    2018, section 4 and Chung et al. 2014. Dropout acts between layers and on h_t. Stages: layer_0,
    layer_1, ... [B, T, H].

    >>> model, x = PianoRollRNN(cell=GRU(16)), jnp.zeros((2, 9, 88))
    >>> key = jax.random.key(0)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, x, train=False))[0][0].shape
    (2, 9, 88)

    Attributes:
        keys: number of keys.
        cell: the recurrent cell.
        layers: number of recurrent layers.
        dropout: probability of dropping a unit while training.
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    keys: int = 88
    cell: LSTM | GRU = LSTM(256)
    layers: int = 1
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: jax.Array,
        targets: jax.Array,
        carry: Carry | None = None,
        reset: jax.Array | None = None,
        *,
        train: bool,
        stages: bool = False,
    ) -> tuple[jax.Array, Carry] | tuple[jax.Array, Carry, dict[str, jax.Array]]:
        """Logits [B, T, keys], float32 at least, of the frames after inputs, and the carry.

        Args:
            inputs: frames [B, T, keys].
            targets: the frames after them; not read by this model.
            carry: the carry before the first frame; None means zeros.
            reset: [B, T] (bool), frames before which a row starts from zeros.
            train: whether dropout acts; needs the key `dropout` then, if it is above 0.
            stages: whether the stages are returned too.

        Raises:
            ValueError: a frame has another number of keys.
        """
        del targets
        check_keys(self, inputs)
        recurrent = self._recurrent(name="recurrent")
        h, carry, hidden = recurrent(inputs, carry, reset=reset, train=train, stages=True)
        h = nn.Dropout(self.dropout, deterministic=not train)(h)
        logits = output_layer(self, self.keys, name="output")(h)
        if not stages:
            return logits, carry
        return logits, carry, {f"layer_{i}": a for i, a in enumerate(hidden)}

    def draw(
        self, carry: Carry, frames: jax.Array, key: jax.Array, temperature: ArrayLike
    ) -> tuple[Carry, jax.Array]:
        """The carry after frames [N, keys], and the next ones, drawn (0 or 1)."""
        logits, carry = self(frames[:, None], frames[:, None], carry, train=False)
        return carry, draw_keys(key, logits[:, 0], temperature)

    @nn.nowrap
    def initial_carry(self, rows: int) -> Carry:
        """The carry before the first frame of so many rows: zeros."""
        return self._recurrent(parent=None).initial_carry((rows, self.keys))

    @nn.nowrap
    def _recurrent(self, **options: Any) -> Recurrent:
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return Recurrent(self.cell, self.layers, dropout=self.dropout, **dtypes, **options)


def draw_keys(key: jax.Array, logits: jax.Array, temperature: ArrayLike) -> jax.Array:
    """Keys (0 or 1, float32), each drawn from sigmoid(logits / temperature); 0 takes the likelier.

    >>> draw_keys(jax.random.key(0), jnp.array([-9.0, 9.0]), 0.0).tolist()
    [0.0, 1.0]
    """
    temperature = jnp.asarray(temperature)
    scaled = logits / jnp.where(temperature == 0, 1, temperature)
    drawn = jax.random.bernoulli(key, jax.nn.sigmoid(scaled))
    return jnp.where(temperature == 0, logits > 0, drawn).astype(jnp.float32)


def check_keys(model: Any, inputs: jax.Array) -> None:
    """Raises ValueError for inputs that are not [B, T, model.keys]."""
    if inputs.ndim != 3 or inputs.shape[-1] != model.keys:
        raise ValueError(f"inputs must be [B, T, {model.keys}], got shape {list(inputs.shape)}")
