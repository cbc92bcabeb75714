"""Tagged sentences: what batches hold against the lines of the files."""

import numpy as np
import pytest

from nets.data.conll import Conll
from nets.errors import UserError

WORDS = "The big Cat sees a small dog near one house".split()
TAGS = "D A N V D A N P D N".split()


def write(path, lengths):
    """A file with a sentence of each length, which are told apart by their last word."""
    lines = []
    for k, length in enumerate(lengths):
        rows = [*zip(WORDS[: length - 1], TAGS[: length - 1], strict=True), (f"x{k}", "X")]
        lines += [f"{word} {tag}" for word, tag in rows] + [""]
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture
def fields(tmp_path):
    return {
        "path": write(tmp_path / "train.txt", [2, 3, 5, 8, 5, 9, 3, 4]),
        "validation_path": write(tmp_path / "validation.txt", [4, 10]),
        "test_path": write(tmp_path / "test.txt", [1, 3, 6]),
        "max_length": 8, "widths": (4, 6), "batch_size": 3, "eval_batch_size": 2,
        "max_characters": 4, "min_count": 1,
    }  # fmt: skip


def sentences(data, batch):
    """(words, tags) of each row, by the metadata alone."""
    metadata = data.metadata()
    for ids, tags, mask in zip(batch["inputs"], batch["targets"], batch["mask"], strict=True):
        n = int(mask.sum())
        if n:  # it is no row that fills up the last batch
            assert not ids[n:].any() and not tags[n:].any() and mask[:n].all()
            yield (
                tuple(metadata["vocabulary"][k] for k in ids[:n]),
                tuple(metadata["tags"][k] for k in tags[:n]),
            )


def expected(lengths):
    return sorted(
        ((*map(str.lower, WORDS[: n - 1]), f"x{k}"), (*TAGS[: n - 1], "X"))
        for k, n in enumerate(lengths)
    )


def test_an_epoch_of_training_is_all_sentences_but_the_long(fields):
    data = Conll(**fields | {"batch_size": 7, "widths": ()})
    batches = data.train(0)
    first = sorted(sentences(data, batches[0]))
    assert first == [row for row in expected([2, 3, 5, 8, 5, 9, 3, 4]) if len(row[0]) < 9]
    assert first == sorted(sentences(data, batches[1]))
    metadata = data.metadata()
    assert metadata["long"] == {"train": 1, "validation": 1, "test": 0}
    assert metadata["train_examples"] == 7 and metadata["shapes"] == 1
    assert metadata["words"] == {"train": 30, "validation": 14, "test": 10}


def test_an_evaluation_has_every_word_of_every_sentence(fields):
    data = Conll(**fields)
    for split, lengths in (("validation", [4, 10]), ("test", [1, 3, 6])):
        batches = list(data.evaluate(split))
        rows = [row for batch in batches for row in sentences(data, batch)]
        assert sum(len(words) for words, _ in rows) == sum(lengths)
        tags = sorted(tags for _, tags in rows)
        assert tags == sorted(tags for _, tags in expected(lengths))
        for batch in batches:
            longest = int(batch["mask"].sum(1).max())
            widths = (4, 6, 10 if split == "validation" else 8)
            assert batch["inputs"].shape[1] == min(w for w in widths if w >= longest)


def test_characters_are_those_of_each_word_and_what_is_unknown_is_1(fields):
    data = Conll(**fields | {"min_count": 2})
    metadata = data.metadata()
    alphabet, vocabulary = metadata["alphabet"], metadata["vocabulary"]
    assert alphabet[:2] == vocabulary[:2] == ["", "<unk>"] and "x0" not in vocabulary
    (batch, _) = data.evaluate("test")
    letters = ["".join(alphabet[k] for k in word) for word in batch["characters"][1]]
    assert letters == ["The", "big", "x1", "", *[""] * (len(letters) - 4)]
    assert [vocabulary[k] for k in batch["inputs"][1][:3]] == ["the", "big", "<unk>"]
    assert metadata["unknown"]["test"] == 3
    batch, source = data.read_prompt("The big Äpfel.", metadata)
    assert source["words"].tolist() == ["The", "big", "Äpfel", "."]
    assert batch["inputs"].shape == (1, 4) and batch["inputs"][0, 2] == 1
    assert batch["characters"][0, 2].tolist()[0] == 1  # Ä
    assert "".join(alphabet[k] for k in batch["characters"][0, 0]) == "The"


def test_batches_are_what_the_spec_says(fields):
    data = Conll(**fields | {"widths": (), "lower": False})
    batch = data.train(0)[0]
    assert {name: (a.shape, a.dtype) for name, a in batch.items()} == data.spec().arrays
    assert "The" in data.metadata()["vocabulary"]
    assert data.metadata()["digest"] != Conll(**fields).metadata()["digest"]


def test_a_tag_of_the_test_alone_is_a_class(fields, tmp_path):
    (tmp_path / "odd.txt").write_text("The D\nend Z\n")
    data = Conll(**fields | {"test_path": str(tmp_path / "odd.txt")})
    assert data.metadata()["tags"] == ["A", "D", "N", "P", "V", "X", "Z"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": None}, "^path must be given with validation_path or test_path"),
        ({"widths": (9,)}, "^widths must rise from 1 to below max_length=8, got 9"),
        ({"name": "c"}, "^name must be one of None, python, got c"),
        ({"batch_size": 8}, "^batch_size must be at most 7, the training sentences of at most 8"),
    ],
)
def test_mistakes(changes, message, fields):
    with pytest.raises(UserError, match=message):
        Conll(**fields | changes).train(0)


def test_without_a_file_there_is_nothing_and_an_empty_prompt_is_refused(fields):
    with pytest.raises(UserError, match="^path is needed: a file of words and their tags"):
        Conll().metadata()
    data = Conll(**fields)
    with pytest.raises(UserError, match="^prompt must have words, got ' '"):
        data.read_prompt(" ", data.metadata())


def test_a_tenth_is_tested_where_there_is_no_file(tmp_path):
    path = write(tmp_path / "all.txt", [3] * 30)
    data = Conll(path=path, batch_size=3, min_count=1)
    assert data.metadata()["sizes"] == {"train": 25, "validation": 2, "test": 3}
    rows = [row for batch in data.evaluate("test") for row in sentences(data, batch)]
    assert len(rows) == 3 and np.sum([words[-1] == "<unk>" for words, _ in rows]) == 3
