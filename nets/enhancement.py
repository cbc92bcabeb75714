"""Speech enhancement: a network predicts a mask over the spectrogram of a noisy sound."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.elman import Elman
from nets.gru import GRU
from nets.layers.checks import check_at_least
from nets.layers.linear import dense
from nets.layers.recurrent_stack import RecurrentStack
from nets.layers.recurrent_stream import Window, empty_window
from nets.layers.sequence import output_layer
from nets.layers.spectrogram import frame_count, istft, sqrt_hann, stft, window_power
from nets.layers.splice import splice, unsplice
from nets.lstm import LSTM
from nets.types import Activation


class SplicedMLP(nn.Module):
    """A multilayer perceptron on each frame, with splicing of its features, its labels or both.

        h_t = MLP(splice(x, features)_t)
        y   = unsplice(h, labels)

    It reads `features` frames before and after each, and predicts the mask of `labels` frames
    before and after, of which each frame takes the mean of all estimates (cf. Xu et al. 2015, 7 to
    11 frames of features). It is late by the sum of both.

    >>> model, x = SplicedMLP((16,), features=3, labels=3), jnp.zeros((2, 50, 129))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 50, 129)

    Attributes:
        widths: number of units of each hidden layer.
        features: frames before and after each that it reads.
        labels: frames before and after each that it predicts.
        activation: nonlinearity of the hidden units.
        dropout: probability of dropping a hidden unit while training.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    widths: tuple[int, ...] = (256, 256)
    features: int = 0
    labels: int = 0
    activation: Activation = nn.relu
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Logits [B, T, F] of masks for frames x [B, T, F].

        Raises:
            ValueError: features or labels are below 0.
        """
        check_at_least("features", self.features, 0)
        check_at_least("labels", self.labels, 0)
        return unsplice(self._estimates(splice(x, self.features), x.shape[-1], train), self.labels)

    @nn.compact
    def _estimates(self, x: jax.Array, bins: int, train: bool) -> jax.Array:
        """Logits [B, T, (2k + 1) F] of spliced frames."""
        for i, width in enumerate(self.widths):
            x = dense(width, self.dtype, self.param_dtype, name=f"hidden_{i}")(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(self.activation(x))
        return output_layer(self, (2 * self.labels + 1) * bins, name="output")(x)

    @property
    def delay(self) -> int:
        """Frames by which the mask is late in a stream."""
        return self.features + self.labels

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, int]) -> tuple[Window, Window]:
        """The carry before the first frame, for frames [B, F]."""
        batch, bins = shape
        width = 2 * self.labels + 1
        spliced = empty_window(batch, 2 * self.features + 1, bins)
        return spliced, empty_window(batch, width, width * bins)

    def step(
        self, carry: tuple[Window, Window], x: jax.Array, valid: jax.Array
    ) -> tuple[tuple[Window, Window], jax.Array]:
        """Logits [B, F] of the frame that was `delay` frames ago, from x [B, F]."""
        bins, k = x.shape[-1], self.labels
        read, written = carry
        read = read.push(jnp.where(valid[:, None], x, 0), valid)
        estimates = self._estimates(read.x.reshape(len(x), 1, -1), bins, False)[:, 0]
        written = written.push(estimates, read.valid[:, self.features])
        parts = written.x.reshape(len(x), 2 * k + 1, 2 * k + 1, bins)
        # the estimate of the middle frame by the frame j after the first is its part 2k - j
        parts = jnp.stack([parts[:, j, 2 * k - j] for j in range(2 * k + 1)], axis=1)
        weights = written.valid[..., None].astype(parts.dtype)
        return (read, written), (parts * weights).sum(1) / jnp.maximum(weights.sum(1), 1)


class RecurrentMask(nn.Module):
    """Recurrent layers over the frames: forward, in both directions, or looking a few frames ahead.

    >>> model, x = RecurrentMask(GRU(16), bidirectional=True, lookahead=3), jnp.zeros((2, 50, 129))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 50, 129)

    Attributes:
        cell: the recurrent cell.
        layers: number of recurrent layers.
        bidirectional: whether a second cell of each layer reads backwards.
        lookahead: frames ahead that it reads, at most; None means all.
        dropout: probability of dropping a unit between layers while training.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    cell: LSTM | GRU | Elman = LSTM(128)
    layers: int = 1
    bidirectional: bool = False
    lookahead: int | None = None
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.recurrent = self._stack()

    @nn.nowrap
    def _stack(self, **options: Any) -> RecurrentStack:
        fields = ("cell", "layers", "bidirectional", "lookahead", "dropout", "dtype", "param_dtype")
        return RecurrentStack(**{name: getattr(self, name) for name in fields}, **options)

    @nn.compact
    def _output(self, h: jax.Array, bins: int) -> jax.Array:
        return output_layer(self, bins, name="output")(h)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Logits [B, T, F] of masks for frames x [B, T, F]."""
        return self._output(self.recurrent(x, train=train), x.shape[-1])

    @property
    def delay(self) -> int:
        """Frames by which the mask is late in a stream.

        Raises:
            ValueError: it reads backwards from the end.
        """
        return self._stack(parent=None).delay

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, int]) -> tuple:
        """The carry before the first frame, for frames [B, F]."""
        return self._stack(parent=None).initial_carry(shape)

    def step(self, carry: tuple, x: jax.Array, valid: jax.Array) -> tuple[tuple, jax.Array]:
        """Logits [B, F] of the frame that was `delay` frames ago, from x [B, F]."""
        carry, h, _ = self.recurrent.step(carry, x, valid)
        return carry, self._output(h[:, None], x.shape[-1])[:, 0]


class EnhancerCarry(NamedTuple):
    """Carry of `Enhancer.step`.

    Attributes:
        samples: [B, window - hop], the samples before the next block.
        spectra: [B, delay + 1, F], of the frames whose masks are still to come.
        network: the carry of the network.
        tail: [B, window - hop], what the frames so far add to the samples to come.
    """

    samples: jax.Array
    spectra: jax.Array
    network: Any
    tail: jax.Array


class Enhancer(nn.Module):
    """The noisy spectrogram times a mask, as a sound.

        Y = stft(y),  M = sigmoid(network(log(|Y| + 1e-3) / 3)),  s = istft(M * Y)

    The windows are the square root of Hann's. As a stream (`step`) it reads and writes blocks of
    `hop` samples and is late by `latency` samples.

    >>> model, x = Enhancer(SplicedMLP((8,))), jnp.zeros((2, 800))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 800)

    Attributes:
        network: predicts the logits of the mask from the frames.
        window: samples of a frame.
        hop: samples from a frame to the next; must divide the window.
    """

    network: SplicedMLP | RecurrentMask = RecurrentMask()
    window: int = 256
    hop: int = 128

    def __call__(
        self, noisy: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """The enhanced sound [B, N] of a noisy one [B, N].

        Stages: "spectrum" [B, T, F] (complex), the noisy one, and "mask" [B, T, F].

        Raises:
            ValueError: hop does not divide the window.
        """
        self._check()
        window = sqrt_hann(self.window)
        spectrum = stft(noisy, window, self.hop)
        mask = nn.sigmoid(self.network(_features(spectrum), train=train))
        enhanced = istft(mask * spectrum, window, self.hop, noisy.shape[-1])
        return (enhanced, {"spectrum": spectrum, "mask": mask}) if stages else enhanced

    @property
    def latency(self) -> int:
        """Samples from the first of a block's to when the block is written, without computing.

        Raises:
            ValueError: the network reads backwards from the end.
        """
        return self.window + self.network.delay * self.hop

    @nn.nowrap
    def initial_carry(self, batch: int) -> EnhancerCarry:
        """The carry before the first block of so many rows."""
        self._check()
        bins = self.window // 2 + 1
        return EnhancerCarry(
            jnp.zeros((batch, self.window - self.hop)),
            jnp.zeros((batch, self.network.delay + 1, bins), jnp.complex64),
            self.network.initial_carry((batch, bins)),
            jnp.zeros((batch, self.window - self.hop)),
        )

    def step(
        self, carry: EnhancerCarry, samples: jax.Array, valid: jax.Array
    ) -> tuple[EnhancerCarry, jax.Array]:
        """One block of a stream: samples [B, hop] in, enhanced samples [B, hop] out.

        The output is that of the block window - hop + delay * hop samples earlier. `valid` [B]
        (bool) is false for the `delay` blocks after the end of the sound.
        """
        window = jnp.asarray(sqrt_hann(self.window), jnp.float32)[None]
        block = jnp.concatenate([carry.samples, samples], axis=1)
        spectrum = jnp.fft.rfft(block * window)
        logits_carry, logits = self.network.step(carry.network, _features(spectrum), valid)
        spectra = jnp.concatenate([carry.spectra[:, 1:], spectrum[:, None]], axis=1)
        framed = jnp.fft.irfft(nn.sigmoid(logits) * spectra[:, 0], self.window) * window
        total = framed + jnp.pad(carry.tail, ((0, 0), (0, self.hop)))
        power = jnp.asarray(window_power(sqrt_hann(self.window), self.hop), jnp.float32)[None]
        after = EnhancerCarry(block[:, self.hop :], spectra, logits_carry, total[:, self.hop :])
        return after, total[:, : self.hop] / power

    def stream(self, noisy: jax.Array) -> jax.Array:
        """The same as `__call__` in evaluation, block by block in a scan."""
        batch, length = noisy.shape
        count, delay = frame_count(length, self.window, self.hop), self.network.delay
        blocks = jnp.pad(noisy, ((0, 0), (0, (count + delay) * self.hop - length)))
        blocks = blocks.reshape(batch, count + delay, self.hop).swapaxes(0, 1)
        valid = jnp.broadcast_to((jnp.arange(count + delay) < count)[:, None], blocks.shape[:2])

        def step(model, carry, block):
            return model.step(carry, *block)

        scan = nn.scan(step, variable_broadcast="params", split_rngs={"params": False})
        _, out = scan(self, self.initial_carry(batch), (blocks, valid))
        late = self.window - self.hop + delay * self.hop
        return out.swapaxes(0, 1).reshape(batch, -1)[:, late : late + length]

    def _check(self) -> None:
        if self.hop < 1 or self.window % self.hop or self.hop == self.window:
            raise ValueError(
                f"hop must divide the window of {self.window} samples into several, got {self.hop}"
            )


def _features(spectrum: jax.Array) -> jax.Array:
    """Logarithms of the magnitudes, 0 at full scale by and by, about -2 in silence."""
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    return jnp.log(jnp.sqrt(power + 1e-12) + 1e-3) / 3
