"""Recordings of folders and archives: labels, speakers and splits."""

import numpy as np
import pytest
from scipy.io import wavfile

from nets.data.audio_source import SPLITS, recordings
from nets.errors import UserError
from tests.support.sounds import tone, write_words


def read(path, test_speaker=None, resample=False):
    fields = {"resample": resample, "test_speaker": test_speaker}
    return recordings(None if path is None else str(path), 8000, **fields)


def test_names_of_files_have_label_speaker_and_split(tmp_path):
    data = read(write_words(tmp_path))
    assert data.names == ("0", "1") and data.speaker_names == ("ann", "bob")
    assert [len(data.rows(split)) for split in SPLITS] == [8, 20, 20]
    row = sorted(p.name for p in tmp_path.iterdir()).index("1_bob_11.wav")
    assert (data.labels[row], data.speakers[row], SPLITS[data.split[row]]) == (1, 1, "train")
    _, samples = wavfile.read(tmp_path / "1_bob_11.wav")
    np.testing.assert_allclose(data.sounds[row], samples / 32768, atol=1e-7)


def test_a_held_out_speaker_is_in_the_test_alone(tmp_path):
    data = read(write_words(tmp_path), test_speaker="ann")
    assert {*data.speakers[data.rows("test")]} == {0} and len(data.rows("test")) == 24
    for split in ("train", "validation"):
        assert {*data.speakers[data.rows(split)]} == {1}
    assert len(data.rows("train")) == 4 + 10  # the former test of the other speaker too
    with pytest.raises(UserError, match="held_out_speaker must be one of ann, bob, got eve"):
        read(tmp_path, test_speaker="eve")


def test_folders_are_labels(tmp_path):
    for name in ("yes", "no"):
        (tmp_path / name).mkdir()
        for k in range(20):
            wavfile.write(tmp_path / name / f"{k:02d}.wav", 8000, tone(300 + k))
    data = read(tmp_path)
    assert data.names == ("no", "yes")
    assert [len(data.rows(split)) for split in SPLITS] == [32, 4, 4]
    assert all(np.ptp(np.bincount(data.labels[data.rows(split)])) == 0 for split in SPLITS)


def test_folders_may_be_splits(tmp_path):
    for split, label in (("train", "a"), ("train", "b"), ("validation", "a"), ("test", "b")):
        (tmp_path / split / label).mkdir(parents=True)
        wavfile.write(tmp_path / split / label / "1.wav", 8000, tone(400))
    data = read(tmp_path)
    assert data.names == ("a", "b")
    assert data.labels[data.rows("train")].tolist() == [0, 1]
    assert data.labels[data.rows("test")].tolist() == [1]


def test_an_archive_has_offsets_or_rows_and_folds(tmp_path):
    audio = np.arange(-50, 50, dtype=np.int16) * 100
    fields = {"label": [0, 1, 1], "speaker": [0, 0, 1], "index": [0, 7, 20]}
    np.savez(
        tmp_path / "a.npz", audio=audio, offsets=[0, 10, 40, 100], speaker_names=["x", "y"],
        **{k: np.array(v) for k, v in fields.items()},
    )  # fmt: skip
    data = read(tmp_path / "a.npz")
    assert [len(sound) for sound in data.sounds] == [10, 30, 60]
    assert [SPLITS[k] for k in data.split] == ["test", "validation", "train"]
    np.testing.assert_allclose(data.sounds[1], audio[10:40] / 32768, atol=1e-7)
    folds = np.array([1, 2, 3, 4, 5])
    np.savez(
        tmp_path / "b.npz", audio=audio.reshape(5, 20), label=np.zeros(5, int), fold=folds,
        label_names=["rain"],
    )  # fmt: skip
    data = read(tmp_path / "b.npz")
    assert [SPLITS[k] for k in data.split] == ["train"] * 3 + ["validation", "test"]
    assert data.names == ("rain",)
    with pytest.raises(UserError, match=r"path=.*b.npz cannot be used: it has 8000 samples per"):
        recordings(str(tmp_path / "b.npz"), 16000)
    assert len(recordings(str(tmp_path / "b.npz"), 16000, resample=True).sounds[0]) == 40


def test_labels_may_be_given_and_no_others_are_taken(tmp_path):
    write_words(tmp_path)
    data = recordings(str(tmp_path), 8000, labels=("1", "2", "0"))
    assert data.names == ("1", "2", "0") and {*data.labels} == {0, 2}
    with pytest.raises(UserError, match="labels must have all of the recordings', got 1; .* has 0"):
        recordings(str(tmp_path), 8000, labels=("1",))


def test_mistakes_name_the_path(tmp_path):
    with pytest.raises(UserError, match="path=.*missing.npz cannot be used"):
        read(tmp_path / "missing.npz")
    with pytest.raises(UserError, match="path=.* cannot be used: .* has no WAV files"):
        read(tmp_path)
    np.savez(tmp_path / "a.npz", audio=np.zeros((3, 9)))
    with pytest.raises(UserError, match="path=.* cannot be used: it lacks label; it has audio"):
        read(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", audio=np.zeros((3, 9)), label=np.zeros(2, int))
    with pytest.raises(UserError, match="it has 3 recordings and 2 labels"):
        read(tmp_path / "a.npz")
    audio = np.zeros((3, 9))
    for label, names, message in (
        (["a", "b", "c"], [], "its labels must be integers from 0, got <U1"),
        ([0, -1, 1], [], "its labels must be integers from 0"),
        ([0, 1, 2], ["a", "b"], "it has the label 2, and 2 label_names"),
    ):
        np.savez(tmp_path / "b.npz", audio=audio, label=label, label_names=names or ["a"] * 3)
        with pytest.raises(UserError, match=message):
            read(tmp_path / "b.npz")
    wavfile.write(tmp_path / "0_ann_1.wav", 8000, tone(300))
    with pytest.raises(UserError, match="there is no recording for train"):
        read(tmp_path).rows("train")


def test_the_digest_changes_with_the_samples(tmp_path):
    write_words(tmp_path / "one")
    write_words(tmp_path / "two")
    wavfile.write(tmp_path / "two" / "0_ann_11.wav", 8000, tone(999))
    assert read(tmp_path / "one").digest != read(tmp_path / "two").digest


def test_generated_words_differ_by_label_and_are_the_same_every_time():
    data = read(None)
    assert len(data.sounds) == 3000 and len(data.names) == 10
    assert [len(data.rows(split)) for split in SPLITS] == [2400, 300, 300]
    assert np.bincount(data.labels).tolist() == [300] * 10
    lengths = np.array([len(sound) for sound in data.sounds]) / 8000
    assert 0.1 < lengths.min() and lengths.max() < 0.5
