"""Convolutional, recurrent and dense layers over mel bands, put together as blocks."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least
from nets.layers.conv import Conv
from nets.layers.linear import dense
from nets.layers.recurrent import Recurrent
from nets.layers.sequence import output_layer
from nets.layers.spectrogram import log_mel
from nets.layers.splice import splice
from nets.lstm import LSTM


class CLDNN(nn.Module):
    """Convolution, LSTM and dense layers on each frame, any of them left out (Sainath et al. 2015).

        x_t = log_mel of frame t, minus its mean over the sound
        x = splice(x, context)                                            without `conv`
        x = conv 9x9, max-pool 3 over bands, conv 3x3 over time and bands, linear   (`conv`)
        x = LSTM(x)                                                       `lstm` times
        x = relu(W x + b)                                                 for each of `dense`
        y = the mean over the frames of V x_t + c

    A DNN has `dense` alone, a CNN `conv` and `dense`, an LSTM `lstm`; all three make the CLDNN.
    Frames behind the end of a sound count for nothing.

    >>> model, x = CLDNN(num_classes=10), jnp.zeros((2, 8000))
    >>> out = jax.eval_shape(
    ...     lambda: model.init_with_output(
    ...         jax.random.key(0), x, lengths=jnp.array([8000, 4000]), train=False
    ...     )
    ... )
    >>> out[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in.
        rate: samples per second. None means that the data fills it in.
        context: frames before and after each that are spliced to it, without `conv`.
        conv: maps of the two convolutions; empty means none.
        linear: outputs of the linear layer after them.
        lstm: units of each LSTM layer; empty means none.
        dense: units of each dense layer; empty means none.
        dropout: probability of dropping a unit while training, before each dense layer and the
            output.
        window: samples of a frame.
        hop: samples from a frame to the next.
        bands: mel bands.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    rate: int | None = 8000
    context: int = 0
    conv: tuple[int, ...] = (16, 24)
    linear: int = 64
    lstm: tuple[int, ...] = (128,)
    dense: tuple[int, ...] = (128,)
    dropout: float = 0.0
    window: int = 256
    hop: int = 160
    bands: int = 32
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, sound: jax.Array, *, lengths: jax.Array, train: bool) -> jax.Array:
        """Logits [B, num_classes], float32 at least, of sounds [B, N].

        Args:
            sound: [B, N].
            lengths: [B] (int), samples of each row.
            train: whether dropout acts; needs the key `dropout` then.

        Raises:
            ValueError: `conv` has not two layers, or `context` is below 0 or given beside it.
        """
        check_at_least("context", self.context, 0)
        if len(self.conv) not in (0, 2):
            raise ValueError(f"conv must be empty or the maps of two layers, got {self.conv}")
        if self.conv and self.context:
            raise ValueError(f"context must be 0 with conv, which has its own, got {self.context}")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        frames = jnp.maximum((lengths - self.window) // self.hop + 1, 1)  # [B]
        x = log_mel(sound, self.rate, self.window, self.hop, self.bands)  # [B, T, M]
        valid = (jnp.arange(x.shape[1])[None] < frames[:, None])[..., None]  # [B, T, 1]
        count = frames[:, None, None].astype(x.dtype)
        mean = jnp.where(valid, x, 0).sum((1, 2), keepdims=True) / (count * self.bands)
        x = jnp.where(valid, (x - mean) / 3, 0).astype(self.dtype)
        if self.conv:
            x = nn.relu(Conv(self.conv[0], (9, 9), **dtypes, name="conv_0")(x[..., None]))
            x = nn.max_pool(x, (1, 3), (1, 3))  # [B, T, M / 3, C]
            x = jnp.where(valid[..., None], x, 0)
            x = nn.relu(Conv(self.conv[1], (3, 3), **dtypes, name="conv_1")(x))
            x = dense(self.linear, **dtypes, name="linear")(x.reshape(*x.shape[:2], -1))
        elif self.context:
            x = splice(x, self.context)
        for i, units in enumerate(self.lstm):
            x, _ = Recurrent(LSTM(units), **dtypes, name=f"lstm_{i}")(x, lengths=frames)
        for i, units in enumerate(self.dense):
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = nn.relu(dense(units, **dtypes, name=f"dense_{i}")(x))
        x = jnp.where(valid, x, 0).sum(1) / count[:, 0].astype(x.dtype)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return output_layer(self, self.num_classes, name="output")(x[:, None])[:, 0]
