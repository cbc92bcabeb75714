"""WAV files of all kinds, and those that are refused in one line."""

import numpy as np
import pytest
from scipy.io import wavfile

from nets.data.audio_files import read_wav, resampled, wav_files
from nets.errors import UserError
from tests.support.sounds import tone


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_samples_of_any_type_have_full_scale_one(kind, tmp_path):
    want = np.array([0.0, 0.5, -0.5, -1.0], np.float32)
    samples = want
    if kind is np.uint8:
        samples = np.array([128, 192, 64, 0], np.uint8)
    elif np.issubdtype(kind, np.integer):
        samples = (want.astype(np.float64) * -float(np.iinfo(kind).min)).astype(kind)
    wavfile.write(tmp_path / "a.wav", 8000, samples)
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav", 8000), want)


def test_another_rate_is_resampled_if_requested(tmp_path):
    """A tone keeps its frequency and duration."""
    wavfile.write(tmp_path / "a.wav", 44100, tone(440, 0.5, 44100))
    with pytest.raises(
        UserError, match="a.wav has 44100 samples per second, not 8000; set resampl"
    ):
        read_wav(tmp_path / "a.wav", 8000)
    sound = read_wav(tmp_path / "a.wav", 8000, resample=True)
    assert len(sound) == 4000
    assert np.abs(np.fft.rfft(sound)).argmax() == 440 * 0.5
    want = 8000 / 32768 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    np.testing.assert_allclose(sound[100:-100], want[100:-100], atol=2e-3)
    assert resampled(np.ones(10, np.float32), 8000, 16000).dtype == np.float32


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((9, 2), np.int16), "a.wav has 2 channels; mono is needed"),
        (np.zeros(0, np.int16), "a.wav is empty: it has no samples"),
        (np.array([np.nan], np.float32), "a.wav has samples that are not finite"),
        (None, "a.wav cannot be read as WAV: .*not understood"),
    ],
)
def test_what_cannot_be_used_is_refused(samples, message, tmp_path):
    path = tmp_path / "a.wav"
    if samples is None:
        path.write_bytes(b"no sound at all, but text that is long enough")
    else:
        wavfile.write(path, 8000, samples)
    with pytest.raises(UserError, match=message):
        read_wav(path, 8000)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="b.wav: no such file"):
        read_wav(tmp_path / "b.wav", 8000)
    with pytest.raises(UserError, match="has no WAV files"):
        wav_files(tmp_path)
