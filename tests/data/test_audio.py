"""Words: lengths, widths, labels, and what is a function of seed and step."""

import numpy as np
import pytest
from scipy.io import wavfile

from nets.data.audio import SpokenWords, disturbed, padded_sounds
from nets.data.audio_strings import SpokenStrings
from nets.errors import UserError
from tests.support.sounds import tone, write_words


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_words(tmp_path_factory.mktemp("words") / "all"))


def test_batches_of_words_have_few_widths_and_all_samples(folder):
    data = SpokenWords(path=folder, batch_size=4, eval_batch_size=6, seconds=(0.2, 0.3))
    batches = data.evaluate("test")
    assert len(batches) == 4  # 20 words
    widths = {batch["inputs"].shape[1] for batch in batches} | {
        data.train(0)[i]["inputs"].shape[1] for i in range(6)
    }
    assert widths <= {1600, 2400} and data.metadata()["shapes"] == 2
    source = data.recordings()
    rows = source.rows("test")
    total = sum(len(source.sounds[row]) for row in rows)
    counted = sum(int((b["lengths"] * b["mask"]).sum()) for b in batches)
    assert counted == total  # nothing is cut off, nothing is counted twice
    for batch in batches:
        for x, n in zip(batch["inputs"], batch["lengths"], strict=True):
            assert not x[n:].any()


def test_each_word_comes_once_per_epoch(folder):
    data = SpokenWords(path=folder, batch_size=4, gain=0.0, snr=None)
    batches = [data.train(3)[i] for i in range(50 * 4)]  # 8 words, pools of 50 batches
    counts = {}
    for batch in batches:
        for x, n in zip(batch["inputs"], batch["lengths"], strict=True):
            key = x[:n].tobytes()
            counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 8 and set(counts.values()) == {100}


def test_what_is_too_long_is_cut_off():
    rows, lengths = padded_sounds([np.ones(3, np.float32), np.ones(9, np.float32)], (2, 5))
    assert rows.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]] and lengths.tolist() == [3, 5]


def test_training_is_a_function_of_seed_and_step(folder):
    for data in (SpokenWords(path=folder, batch_size=4), SpokenStrings(path=folder, batch_size=4)):
        one, same, other = data.train(1)[7], data.train(1)[7], data.train(2)[7]
        assert all(np.array_equal(one[k], same[k]) for k in one)
        assert not np.array_equal(one["inputs"], other["inputs"])


def test_noise_and_loudness_are_those_stated():
    rng = np.random.default_rng(0)
    sound = np.sin(np.arange(80000) / 9).astype(np.float32)
    for _ in range(20):
        changed = disturbed(rng, sound, 6.0, 10.0)
        gain = np.dot(changed, sound) / np.dot(sound, sound)
        noise = changed - gain * sound
        snr = 10 * np.log10(np.mean((gain * sound) ** 2) / np.mean(noise**2))
        assert -6.1 < 20 * np.log10(gain) < 6.1 and 9.8 < snr < 50.2
    np.testing.assert_allclose(disturbed(rng, sound, 0.0, None), sound)


def test_specs_tell_the_shapes_without_reading():
    for data in (SpokenWords(path="nowhere"), SpokenStrings(path="nowhere")):
        assert data.spec().arrays["inputs"][0] == (32, int(8000 * data.seconds[-1]))
        with pytest.raises(UserError, match="path=nowhere cannot be used"):
            data.metadata()


def test_sounds_of_ones_own(tmp_path):
    data = SpokenWords()
    wavfile.write(tmp_path / "a.wav", 8000, tone(440))
    batch, source = data.load_input(tmp_path / "a.wav", {})
    assert batch["inputs"].shape == (1, 1600) and batch["lengths"].tolist() == [1600]
    assert source["rate"] == 8000
    wavfile.write(tmp_path / "b.wav", 8000, tone(440, 0.01))
    with pytest.raises(UserError, match=r"b.wav lasts 0.010 s; at least 0.05 s are needed"):
        data.load_input(tmp_path / "b.wav", {})


def test_a_batch_is_at_most_the_training_words(folder):
    with pytest.raises(UserError, match="batch_size must be at most 8, the training recordings"):
        SpokenWords(path=folder, batch_size=9).train(0)


@pytest.mark.parametrize("kind", [SpokenWords, SpokenStrings])
def test_recordings_without_a_label_are_refused(kind, tmp_path):
    for k in range(10):
        wavfile.write(tmp_path / f"take{k}.wav", 8000, tone(300 + k))
    (tmp_path / "yes").mkdir()
    wavfile.write(tmp_path / "yes" / "a.wav", 8000, tone(400))
    with pytest.raises(UserError, match="^path=.* has 10 recordings without a label: name files"):
        kind(path=str(tmp_path)).metadata()
