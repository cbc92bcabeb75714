"""Spectrograms against scipy and plain loops; the inverse gives the signal back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from nets.layers import spectrogram


def signal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("size", "hop"), [(8, 4), (8, 3), (5, 5), (4, 6)])
def test_frames_and_their_sum_are_those_of_a_loop(size, hop):
    x = signal(2, 31)
    framed = spectrogram.frames(jnp.asarray(x), size, hop)
    starts = range(0, 31 - size + 1, hop)
    want = np.stack([x[:, a : a + size] for a in starts], 1)
    np.testing.assert_array_equal(framed, want)
    total = np.zeros((2, (len(starts) - 1) * hop + size), np.float32)
    for t, a in enumerate(starts):
        total[:, a : a + size] += want[:, t]
    np.testing.assert_allclose(spectrogram.overlap_add(framed, hop), total, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("size", "hop", "samples"), [(64, 16, 200), (64, 32, 64), (48, 20, 131)])
def test_the_transform_is_scipys_of_the_padded_signal(size, hop, samples):
    x = signal(samples)
    window = spectrogram.hann(size)
    np.testing.assert_allclose(window, scipy.signal.get_window("hann", size), atol=1e-12)
    ours = spectrogram.stft(jnp.asarray(x), window, hop)
    padded = np.pad(x, (size - hop, 2 * size))
    _, _, theirs = scipy.signal.stft(
        padded, window=window, nperseg=size, noverlap=size - hop, boundary=None, padded=False
    )
    theirs = theirs.T[: len(ours)] * window.sum()  # scipy divides by it
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    beyond = np.pad(x, (size - hop, 0))[(len(ours)) * hop :]  # where the next frame would begin
    assert len(beyond) <= size - hop


@pytest.mark.parametrize("make", [spectrogram.hann, spectrogram.sqrt_hann, np.hamming])
@pytest.mark.parametrize(
    ("size", "hop", "samples"), [(64, 16, 200), (64, 24, 999), (50, 20, 37), (64, 32, 5)]
)
def test_the_inverse_gives_the_signal_back(make, size, hop, samples):
    x, window = jnp.asarray(signal(2, samples)), make(size)

    @jax.jit
    def both(x):
        return spectrogram.istft(spectrogram.stft(x, window, hop), window, hop, samples)

    np.testing.assert_allclose(both(x), x, atol=2e-6)


def test_the_inverse_is_the_nearest_signal():
    """Its error is orthogonal to every signal's spectrum, as least squares demand."""
    window, hop, samples = spectrogram.sqrt_hann(16), 8, 40
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(spectrogram.frame_count(samples, 16, hop), 9, 2)) @ (1, 1j)
    found = spectrogram.istft(jnp.asarray(frames, jnp.complex64), window, hop, samples)

    def distance(x):
        return jnp.square(
            jnp.fft.irfft(spectrogram.stft(x, window, hop), axis=-1)
            - jnp.fft.irfft(jnp.asarray(frames, jnp.complex64), axis=-1)
        ).sum()

    np.testing.assert_allclose(jax.grad(distance)(found), 0, atol=1e-4)


def test_impossible_transforms_are_refused():
    x = jnp.zeros(40)
    with pytest.raises(ValueError, match="hop must be from 1 to 16, the window's size, got 17"):
        spectrogram.stft(x, spectrogram.hann(16), 17)
    with pytest.raises(ValueError, match="a signal of 41 samples has 7 frames, got 6"):
        spectrogram.istft(spectrogram.stft(x, spectrogram.hann(16), 8), spectrogram.hann(16), 8, 41)
    with pytest.raises(ValueError, match="all 0 at some sample"):
        spectrogram.window_power(spectrogram.hann(16), 16)
    with pytest.raises(ValueError, match="samples must be at least 50, got 40"):
        spectrogram.frames(x, 50, 10)


def test_mel_filters_are_triangles_between_hand_computed_edges():
    """1000 Hz is 1000 mel, nearly, as the scale was made."""
    assert abs(spectrogram.mel(1000.0) - 1000) < 0.1
    filters = spectrogram.mel_filters(10, 512, 8000)
    edges = np.interp(np.linspace(0, spectrogram.mel(4000), 12), spectrogram.mel(np.arange(4001)),
                      np.arange(4001))  # fmt: skip
    hertz = np.arange(257) * 8000 / 512
    for b in range(10):
        want = np.interp(hertz, edges[b : b + 3], [0, 1, 0], left=0, right=0)
        np.testing.assert_allclose(filters[:, b], want, atol=2e-3)
    with pytest.raises(ValueError, match="bands must be fewer for frames of 64 .* got 60: band 0"):
        spectrogram.mel_filters(60, 64, 8000)


def test_a_tone_is_loudest_in_the_band_around_it():
    x = np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    bands = spectrogram.log_mel(jnp.asarray(x, jnp.float32), 8000, 256, 80, 20)
    edges = 700 * (10 ** (np.linspace(0, spectrogram.mel(4000), 22) / 2595) - 1)
    nearest = int(np.argmin(abs(edges[1:-1] - 1000)))
    assert bands.shape == (47, 20) and (bands.argmax(-1) == nearest).all()


def test_cepstra_are_scipys():
    x = signal(2, 7, 12)
    ours = spectrogram.mfcc(jnp.asarray(x), 5)
    np.testing.assert_allclose(ours, scipy.fft.dct(x, norm="ortho")[..., :5], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="count must be from 1 to 12, the bands, got 13"):
        spectrogram.mfcc(jnp.asarray(x), 13)
