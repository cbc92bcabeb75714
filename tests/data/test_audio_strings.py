"""Strings of words: their recordings are of one split and speaker, and are where they should be."""

import pytest

from nets.data.audio_strings import SpokenStrings
from nets.errors import UserError
from tests.support.sounds import write_words


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_words(tmp_path_factory.mktemp("words") / "all"))


def test_strings_are_recordings_of_their_split_one_after_the_other(folder):
    """Every word of a test string is a test recording of one speaker, between the zeros."""
    data = SpokenStrings(path=folder, seconds=(1.0, 2.0), words=(2, 4), eval_size=15)
    source = data.recordings()
    by_split = {
        split: {source.sounds[row].tobytes(): row for row in source.rows(split)}
        for split in ("train", "validation", "test")
    }
    for split in ("validation", "test"):
        batch = data.evaluate(split)[0]
        for b in range(15):
            speakers = set()
            labels = batch["targets"][b][batch["targets"][b] > 0]
            assert 2 <= len(labels) <= 4
            for label, end in zip(labels, batch["ends"][b], strict=False):
                part = batch["inputs"][b, :end]
                lengths = {len(sound) for sound in source.sounds}
                rows = [by_split[split].get(part[-n:].tobytes()) for n in sorted(lengths)]
                (row,) = {row for row in rows if row is not None}
                assert source.labels[row] == label - 1
                speakers.add(source.speakers[row])
            assert len(speakers) == 1
            assert batch["lengths"][b] >= batch["ends"][b].max()


def test_strings_that_do_not_fit_lose_their_last_words(folder):
    data = SpokenStrings(path=folder, seconds=(0.5,), words=(4, 4), eval_size=10)
    batch = data.evaluate("test")[0]
    assert batch["inputs"].shape[1] == 4000 and (batch["lengths"] <= 4000).all()
    counts = (batch["targets"] > 0).sum(1)
    assert (counts < 4).all() and (counts > 0).any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seconds": ()}, "seconds must rise from above 0, got "),
        ({"seconds": (1.0, 0.5)}, "seconds must rise from above 0, got 1.0,0.5"),
        ({"words": (0, 3)}, "words must rise from at least 1, got 0,3"),
        ({"pause": (0.3, 0.1)}, "pause must rise from at least 0, got 0.3,0.1"),
        ({"rate": 0}, "rate must be at least 1, got 0"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        SpokenStrings(**fields)
