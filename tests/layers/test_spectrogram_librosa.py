"""Mel filters and cepstra against librosa, where it is installed."""

import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import spectrogram

librosa = pytest.importorskip("librosa")


def test_mel_filters_and_cepstra_are_librosas():
    filters = librosa.filters.mel(sr=8000, n_fft=256, n_mels=24, htk=True, norm=None)
    np.testing.assert_allclose(spectrogram.mel_filters(24, 256, 8000), filters.T, atol=1e-5)
    bands = np.random.default_rng(0).normal(size=(24, 50)).astype(np.float32)
    cepstra = librosa.feature.mfcc(S=bands, n_mfcc=13)
    ours = spectrogram.mfcc(jnp.asarray(bands.T), 13)
    np.testing.assert_allclose(ours, cepstra.T, rtol=1e-3, atol=1e-4)
