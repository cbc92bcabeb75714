"""Spectrograms: frames, the short-time Fourier transform and its inverse, mel filters, cepstra.

All are pure functions that run inside `jax.jit`. A signal is [..., N], in samples.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.checks import check_at_least


def frames(x: jax.Array, size: int, hop: int) -> jax.Array:
    """Frames [..., T, size] of x [..., N], one every `hop` samples: T = 1 + (N - size) // hop.

        >>> frames(jnp.arange(6), 4, 2).tolist()
        [[0, 1, 2, 3], [2, 3, 4, 5]]

    Raises:
        ValueError: hop is below 1, or N below size.
    """
    check_at_least("hop", hop, 1)
    check_at_least("samples", x.shape[-1], size)
    count = 1 + (x.shape[-1] - size) // hop
    if size % hop:
        return x[..., np.arange(count)[:, None] * hop + np.arange(size)]
    parts = size // hop  # every frame is so many neighbouring blocks
    blocks = x[..., : (count + parts - 1) * hop].reshape(*x.shape[:-1], -1, hop)
    return jnp.concatenate([blocks[..., i : i + count, :] for i in range(parts)], axis=-1)


def overlap_add(y: jax.Array, hop: int) -> jax.Array:
    """The sum [..., (T - 1) hop + size] of frames y [..., T, size], each `hop` samples later.

    It is the transpose of `frames`.

        >>> overlap_add(jnp.ones((2, 4)), 2).tolist()
        [1.0, 1.0, 2.0, 2.0, 1.0, 1.0]

    Raises:
        ValueError: hop is below 1.
    """
    check_at_least("hop", hop, 1)
    *batch, count, size = y.shape
    parts = -(-size // hop)
    padding = [(0, 0)] * (y.ndim - 1)
    y = jnp.pad(y, [*padding, (0, parts * hop - size)]).reshape(*batch, count, parts, hop)
    total = sum(
        jnp.pad(y[..., i, :], [*padding[:-1], (i, parts - 1 - i), (0, 0)]) for i in range(parts)
    )
    return total.reshape(*batch, -1)[..., : (count - 1) * hop + size]


def hann(size: int) -> np.ndarray:
    """The periodic Hann window [size], sin^2(pi n / size)."""
    return np.sin(np.pi * np.arange(size) / size) ** 2


def sqrt_hann(size: int) -> np.ndarray:
    """Its square root: as analysis and synthesis window the two make a Hann window."""
    return np.sin(np.pi * np.arange(size) / size)


def frame_count(samples: int, size: int, hop: int) -> int:
    """The number of frames of `stft`."""
    return -(-(samples + size - hop) // hop)


def stft(x: jax.Array, window: np.ndarray, hop: int) -> jax.Array:
    """The short-time Fourier transform [..., T, size // 2 + 1] (complex64) of x [..., N].

        X_{t,f} = sum_n w_n x_{t hop + n - (size - hop)} exp(-2 pi i f n / size)

    Frame t ends with sample (t + 1) hop - 1, so that it needs no sample that a stream of blocks of
    `hop` samples does not yet have; samples outside of the signal are zeros, and T =
    ceil((N + size - hop) / hop), so that all samples are in as many frames.

        >>> stft(jnp.zeros(100), hann(16), 8).shape
        (14, 9)

    Args:
        x: [..., N] (float).
        window: [size].
        hop: samples from a frame to the next.

    Raises:
        ValueError: hop is below 1 or above the window's size.
    """
    size = len(window)
    _check_hop(size, hop)
    count = frame_count(x.shape[-1], size, hop)
    after = (count - 1) * hop + size - (size - hop) - x.shape[-1]
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(size - hop, after)])
    framed = frames(x, size, hop)
    return jnp.fft.rfft(framed * _shaped(window, framed), axis=-1)


def istft(spectrum: jax.Array, window: np.ndarray, hop: int, length: int) -> jax.Array:
    """The signal [..., length] whose `stft` is nearest to X [..., T, size // 2 + 1].

    Griffin and Lim 1984, equation 6: windowed frames are added up and divided by the sum of squared
    windows. Of the `stft` of a signal it is this signal, whatever the window, if each sample is in
    a frame whose window is not 0 there.

    Args:
        spectrum: [..., T, size // 2 + 1], complex.
        window: [size], that of the `stft`.
        hop: samples from a frame to the next.
        length: samples of the signal.

    Raises:
        ValueError: hop is below 1 or above the window's size, or T is not the `frame_count` of that
            length.
    """
    size = len(window)
    _check_hop(size, hop)
    if spectrum.shape[-2] != frame_count(length, size, hop):
        raise ValueError(
            f"a signal of {length} samples has {frame_count(length, size, hop)} frames, got "
            f"{spectrum.shape[-2]}"
        )
    framed = jnp.fft.irfft(spectrum, size, axis=-1)
    summed = overlap_add(framed * _shaped(window, framed), hop)[..., size - hop :][..., :length]
    scale = 1 / window_power(window, hop)
    scale = np.resize(scale, length).astype(np.float32)
    return summed * _shaped(scale, summed)


def window_power(window: np.ndarray, hop: int) -> np.ndarray:
    """The sum [hop] of the squared windows over each sample of a block.

    Raises:
        ValueError: it is 0 somewhere, so that no inverse exists.
    """
    first = (len(window) - hop) % hop  # a block's first sample, in the frame that ends with it
    squares = np.asarray(window, np.float64) ** 2
    power = np.array([squares[(first + n) % hop :: hop].sum() for n in range(hop)])
    if power.min() < 1e-8:
        raise ValueError(f"the windows, one every {hop} samples, are all 0 at some sample")
    return power


def mel(hertz: np.ndarray) -> np.ndarray:
    """Frequencies on the mel scale, 2595 log10(1 + f / 700) (O'Shaughnessy 1987; HTK)."""
    return 2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700)


@functools.lru_cache
def mel_filters(bands: int, size: int, rate: int, low: float = 0.0) -> np.ndarray:
    """Triangular filters [size // 2 + 1, bands] (float32) of peak 1, evenly spaced in mel.

    Band b rises from edge b to edge b + 1 and falls to edge b + 2, linearly in Hz; the edges go
    from `low` to half the rate.

        >>> mel_filters(20, 256, 8000).shape
        (129, 20)

    Args:
        bands: number of filters.
        size: samples of a frame.
        rate: samples per second.
        low: lowest frequency in Hz.

    Raises:
        ValueError: a filter is so narrow that no frequency of the transform lies in it.
    """
    edges = np.linspace(mel(low), mel(rate / 2), bands + 2)
    edges = 700 * (10 ** (edges / 2595) - 1)
    hertz = np.arange(size // 2 + 1) * rate / size
    distance = hertz[:, None] - edges[None]
    width = np.diff(edges)[None]
    filters = np.minimum(distance[:, :-2] / width[:, :-1], -distance[:, 2:] / width[:, 1:])
    filters = np.maximum(filters, 0)
    if not filters.max(0).all():
        raise ValueError(
            f"bands must be fewer for frames of {size} samples at {rate} Hz, got {bands}: band "
            f"{int(filters.max(0).argmin())} is empty"
        )
    return filters.astype(np.float32)


def log_mel(
    x: jax.Array, rate: int, size: int, hop: int, bands: int, floor: float = 1e-6
) -> jax.Array:
    """Logarithms [..., T, bands] of the power in mel bands of x [..., N], Hann windows.

        log(sum_f |X_{t,f}|^2 M_{f,b} + floor)

    Frames begin with sample 0, T = 1 + floor((N - size) / hop).

        >>> log_mel(jnp.zeros(8000), 8000, 200, 80, 20).shape
        (98, 20)
    """
    framed = frames(x, size, hop)
    spectrum = jnp.fft.rfft(framed * _shaped(hann(size), framed), axis=-1)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    return jnp.log(power @ mel_filters(bands, size, rate) + floor)


def mfcc(log_bands: jax.Array, count: int) -> jax.Array:
    """Mel-frequency cepstral coefficients [..., T, count] (Davis and Mermelstein 1980).

    The first `count` of the orthonormal cosine transform (type 2) of `log_mel` [..., T, bands].

    Raises:
        ValueError: count is not from 1 to the number of bands.
    """
    bands = log_bands.shape[-1]
    if not 1 <= count <= bands:
        raise ValueError(f"count must be from 1 to {bands}, the bands, got {count}")
    return log_bands @ cosine_transform(bands, count)


def cosine_transform(bands: int, count: int) -> np.ndarray:
    """The matrix [bands, count] (float32) of the first rows of the orthonormal DCT of type 2."""
    angles = np.pi / bands * (np.arange(bands)[:, None] + 0.5) * np.arange(count)
    basis = np.sqrt(2 / bands) * np.cos(angles)
    basis[:, 0] /= np.sqrt(2)
    return basis.astype(np.float32)


def _check_hop(size: int, hop: int) -> None:
    if not 1 <= hop <= size:
        raise ValueError(f"hop must be from 1 to {size}, the window's size, got {hop}")


def _shaped(a: np.ndarray, like: jax.Array) -> jax.Array:
    """A vector [N] with the rank and type of an array [..., N]."""
    return jnp.asarray(a, like.dtype).reshape([1] * (like.ndim - 1) + [-1])
