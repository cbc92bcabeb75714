"""Sounds in noise: the ratio, splits of both, and a pure function of seed and step."""

import numpy as np
import pytest
from scipy.io import wavfile

from nets.data.audio_generated import melody, noise
from nets.data.audio_noise import NoisySpeech, mixed
from nets.errors import UserError
from tests.support.sounds import tone, write_words


def ratio(noisy, clean):
    return 10 * np.log10(np.sum(np.square(clean, dtype=float)) / np.sum((noisy - clean) ** 2.0))


def test_noise_is_mixed_at_the_stated_ratio():
    rng = np.random.default_rng(0)
    for snr in (-5.0, 0.0, 12.5):
        noisy, clean = mixed(rng.normal(size=4000), 3 * rng.random(4000), snr)
        assert abs(ratio(noisy, clean) - snr) < 1e-3


def test_an_evaluation_has_each_sound_at_each_ratio():
    data = NoisySpeech(duration=0.3, eval_size=4, eval_batch_size=5, eval_snrs=(-5.0, 5.0))
    batches = data.evaluate("test")
    rows = {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}
    real = rows["mask"] > 0
    assert real.sum() == 8 and rows["snr"][real].tolist() == [-5, 5] * 4
    for noisy, clean, snr in zip(
        *(rows[k][real] for k in ("inputs", "targets", "snr")), strict=True
    ):
        assert abs(ratio(noisy, clean) - snr) < 1e-3
    clean = rows["targets"][real]
    np.testing.assert_array_equal(clean[::2], clean[1::2])
    assert not np.array_equal(clean[0], clean[2])
    other = data.evaluate("validation")[0]["targets"]
    assert not np.array_equal(other[0], clean[0])


def test_training_ratios_are_in_their_range_and_repeatable():
    data = NoisySpeech(duration=0.2, batch_size=6, snrs=(-3.0, 4.0))
    batch = data.train(5)[2]
    ratios = [ratio(*pair) for pair in zip(batch["inputs"], batch["targets"], strict=True)]
    assert -3.01 < min(ratios) and max(ratios) < 4.01 and np.std(ratios) > 0.1
    same, other = data.train(5)[2], data.train(5)[3]
    assert np.array_equal(batch["inputs"], same["inputs"])
    assert not np.array_equal(batch["inputs"], other["inputs"])


def test_speech_and_noise_come_from_their_own_splits(tmp_path):
    """Test noise has a tone that no other split has, and so has test speech."""
    for split, hertz in (("train", 1000), ("validation", 2000), ("test", 3000)):
        (tmp_path / "noise" / split / "hum").mkdir(parents=True)
        wavfile.write(tmp_path / "noise" / split / "hum" / "1.wav", 8000, tone(hertz, 1.0))
    write_words(tmp_path / "words")
    data = NoisySpeech(
        path=str(tmp_path / "words"), noise=str(tmp_path / "noise"), duration=0.5,
        batch_size=3, eval_size=3,
    )  # fmt: skip
    for split, hertz in (("train", 1000), ("validation", 2000), ("test", 3000)):
        batch = data.train(0)[0] if split == "train" else data.evaluate(split)[0]
        for hum in batch["inputs"] - batch["targets"]:
            assert abs(np.abs(np.fft.rfft(hum)).argmax() - hertz * 0.5) <= 1
    assert data.metadata()["digest"].count(" ") == 1


def test_generated_sounds_are_harmonic_and_noise_is_normalised():
    rng = np.random.default_rng(0)
    sound = melody(rng, 8000, 8000)
    assert sound.shape == (8000,) and sound.std() > 0
    for _ in range(5):
        hiss = noise(rng, 4000)
        assert abs(hiss.std() - 1) < 1e-3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"duration": 0}, "duration must be above 0, got 0"),
        ({"snrs": (5.0, 0.0)}, "snrs must rise, got 5.0,0.0"),
        ({"eval_snrs": ()}, "eval_snrs must have at least one ratio"),
        ({"noise": "nowhere"}, "noise=nowhere cannot be used"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        NoisySpeech(**fields).metadata()
