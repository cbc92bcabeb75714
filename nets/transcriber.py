"""Transcription of sounds: mel bands, recurrent layers, and a symbol or a blank for each step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.elman import Elman
from nets.gru import GRU
from nets.layers import ctc
from nets.layers.recurrent_stack import RecurrentStack
from nets.layers.sequence import output_layer
from nets.layers.spectrogram import log_mel
from nets.lstm import LSTM


class TranscriberCarry(NamedTuple):
    """Carry of `Transcriber.step`.

    Attributes:
        samples: [B, window - hop], before the next block.
        recurrent: the carry of the layers.
        last: [B], the most probable symbol of the last step.
    """

    samples: jax.Array
    recurrent: tuple
    last: jax.Array


class Transcriber(nn.Module):
    """A recurrent network for connectionist temporal classification (Graves et al. 2006).

        m_t = log_mel of frame t,  x_s = (m_{s k}, ..., m_{s k + k - 1}) / 5,  k = stack
        logits of s = recurrent(x)_s V + c

    Class 0 is the blank. With neither direction but the forward one, or with `lookahead`, it also
    runs on a stream, by `step`.

    >>> model, x = Transcriber(num_classes=11), jnp.zeros((2, 8000))
    >>> lengths = jnp.array([8000, 4000])
    >>> out = jax.eval_shape(
    ...     lambda: model.init_with_output(jax.random.key(0), x, lengths, train=False)
    ... )
    >>> out[0][0].shape, out[0][1].shape
    ((2, 24, 11), (2,))

    Attributes:
        num_classes: number of symbols with the blank. None means that the data fills it in.
        rate: samples per second. None means that the data fills it in.
        cell: the recurrent cell.
        layers: number of recurrent layers.
        bidirectional: whether a second cell of each layer reads backwards.
        lookahead: steps ahead that it reads, at most; None means all.
        dropout: probability of dropping a unit while training, before each layer and the output.
        window: samples of a frame.
        hop: samples from a frame to the next.
        bands: mel bands.
        stack: frames of a step.
        dtype: computation dtype of the recurrent layers.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    rate: int | None = 8000
    cell: LSTM | GRU | Elman = LSTM(128)
    layers: int = 1
    bidirectional: bool = False
    lookahead: int | None = None
    dropout: float = 0.0
    window: int = 256
    hop: int = 80
    bands: int = 32
    stack: int = 4
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.recurrent = self._stack()
        self.output = output_layer(self, self.num_classes)
        self.drop = nn.Dropout(self.dropout)

    @nn.nowrap
    def _stack(self, **options: Any) -> RecurrentStack:
        fields = ("cell", "layers", "bidirectional", "lookahead", "dropout", "dtype", "param_dtype")
        return RecurrentStack(**{name: getattr(self, name) for name in fields}, **options)

    def __call__(
        self, sound: jax.Array, lengths: jax.Array, *, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Logits [B, T, num_classes] of sounds [B, N], and the steps [B] of each that count.

        Args:
            sound: [B, N].
            lengths: [B] (int), samples of each row.
            train: whether dropout acts; needs the key `dropout` then.

        Raises:
            ValueError: a sound is shorter than a step.
        """
        x = self._features(sound)
        steps = self.steps(lengths)
        x = self.drop(x, deterministic=not train)
        h = self.recurrent(x, lengths=steps, train=train)
        return self.output(self.drop(h, deterministic=not train)), steps

    def _features(self, sound: jax.Array) -> jax.Array:
        """[B, T, stack * bands] of sounds [B, N]."""
        bands = log_mel(sound, self.rate, self.window, self.hop, self.bands) / 5
        count = bands.shape[1] // self.stack
        if count == 0:
            raise ValueError(
                f"sounds must have at least {self.reach} samples, got {sound.shape[1]}"
            )
        return bands[:, : count * self.stack].reshape(len(sound), count, -1)

    @property
    def reach(self) -> int:
        """Samples of a step."""
        return self.window + (self.stack - 1) * self.hop

    @nn.nowrap
    def steps(self, lengths: jax.Array) -> jax.Array:
        """Steps of sounds of so many samples."""
        frames = (lengths - self.window) // self.hop + 1
        return jnp.maximum(frames, 0) // self.stack

    @nn.nowrap
    def samples_needed(self, steps: jax.Array, lengths: jax.Array) -> jax.Array:
        """Samples [B, U] that are read before the symbols of these steps [B, U] are known.

        Args:
            steps: [B, U].
            lengths: [B], samples of each row; all are needed in both directions.
        """
        last = jnp.broadcast_to(lengths[:, None], steps.shape)
        if self.bidirectional and self.lookahead is None:
            return last
        ahead = self._stack(parent=None).delay
        return jnp.minimum((steps + ahead) * self.stack * self.hop + self.reach, last)

    @nn.nowrap
    def initial_carry(self, batch: int) -> TranscriberCarry:
        """The carry before the first block of a stream of so many rows."""
        return TranscriberCarry(
            jnp.zeros((batch, self.window - self.hop)),
            self._stack(parent=None).initial_carry((batch, self.stack * self.bands)),
            jnp.zeros(batch, jnp.int32),
        )

    def step(
        self, carry: TranscriberCarry, samples: jax.Array, valid: jax.Array
    ) -> tuple[TranscriberCarry, jax.Array, jax.Array]:
        """One block of a stream, in evaluation.

        Args:
            carry: that of the block before; the first one needs the first window - hop samples of
                the sound in its `samples`.
            samples: [B, stack * hop], the next ones.
            valid: [B] (bool), whether the block exists; false `delay` times after the end.

        Returns:
            the carry; logits [B, K] of the step that was `delay` steps ago; the symbol [B] that it
            writes, 0 for none.
        """
        block = jnp.concatenate([carry.samples, samples], axis=1)
        x = self._features(block)[:, 0]
        recurrent, h, real = self.recurrent.step(carry.recurrent, x, valid)
        logits = self.output(h[:, None])[:, 0]
        last, written = ctc.greedy_step(carry.last, logits)
        tail = block[:, -(self.window - self.hop) :]
        carry = TranscriberCarry(tail, recurrent, jnp.where(real, last, carry.last))
        return carry, logits, jnp.where(real, written, 0)

    def stream(self, sound: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Logits [B, T, K] and written symbols [B, T] of whole sounds [B, N], block by block."""
        batch, length = sound.shape
        delay, head, size = self.recurrent.delay, self.window - self.hop, self.stack * self.hop
        count = max((length - head) // size, 0)
        blocks = jnp.pad(sound[:, head:], ((0, 0), (0, (count + delay) * size)))
        blocks = blocks[:, : (count + delay) * size].reshape(batch, -1, size).swapaxes(0, 1)
        valid = jnp.broadcast_to((jnp.arange(count + delay) < count)[:, None], blocks.shape[:2])

        def step(model, carry, block):
            carry, logits, written = model.step(carry, *block)
            return carry, (logits, written)

        carry = self.initial_carry(batch)._replace(samples=sound[:, :head])
        scan = nn.scan(step, variable_broadcast="params", split_rngs={"params": False})
        _, (logits, written) = scan(self, carry, (blocks, valid))
        return logits.swapaxes(0, 1)[:, delay:], written.swapaxes(0, 1)[:, delay:]
