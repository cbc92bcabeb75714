"""Sentences with a class each: what batches hold against the lines of the file."""

import numpy as np
import pytest

from nets.data.sentences import Sentences
from nets.errors import UserError

WORDS = "a good film that is not too long for me".split()


def write(path, lengths, labels=("pos", "neg")):
    lines = [f"{labels[k % 2]}\t{' '.join(WORDS[:n])} x{k}" for k, n in enumerate(lengths)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def fields(tmp_path):
    return {
        "path": write(tmp_path / "train.tsv", [1, 2, 4, 7, 9, 3]),
        "validation_path": write(tmp_path / "validation.tsv", [2, 9]),
        "test_path": write(tmp_path / "test.tsv", [1, 3, 6]),
        "max_length": 8, "widths": (3, 5), "batch_size": 3, "eval_batch_size": 2,
        "min_count": 1,
    }  # fmt: skip


def rows(data, split):
    """(sentence, class) of each row of an evaluation, by the metadata alone."""
    metadata = data.metadata()
    for batch in data.evaluate(split):
        for ids, target, mask in zip(
            *(batch[k] for k in ("inputs", "targets", "mask")), strict=True
        ):
            if mask:
                words = [metadata["vocabulary"][k] for k in ids if k]
                yield " ".join(words), metadata["class_names"][target]


def test_rows_are_the_lines_of_the_files(fields):
    data = Sentences(**fields)
    assert sorted(rows(data, "test")) == [
        ("a <unk>", "pos") if n == "?" else n
        for n in sorted([("a x0", "pos"), ("a good film x1", "neg"),
                         ("a good film that is not x2", "pos")])
    ]  # fmt: skip
    assert sorted(rows(data, "train"))[0] == ("a good film that is not too long", "pos")  # cut off
    metadata = data.metadata()
    assert metadata["class_names"] == ["neg", "pos"] and metadata["shapes"] == 3
    assert metadata["long"] == {"train": 1, "validation": 1, "test": 0}
    assert metadata["unknown"] == {"train": 0, "validation": 0, "test": 0}
    assert metadata["sizes"] == {"train": 6, "validation": 2, "test": 3}
    for batch in data.evaluate("test"):
        longest = (batch["inputs"] > 0).sum(1).max()
        assert batch["inputs"].shape[1] == min(w for w in (3, 5, 8) if w >= longest)


def test_what_the_training_text_lacks_is_unknown(fields):
    data = Sentences(**fields | {"min_count": 2})
    assert "x0" not in data.metadata()["vocabulary"]
    assert ("a <unk>", "pos") in rows(data, "test")
    assert data.metadata()["unknown"]["test"] == 3
    batch, source = data.read_prompt("A GOOD film, perhaps", data.metadata())
    assert source["words"].tolist() == ["a", "good", "film", ",", "perhaps"]
    vocabulary = data.metadata()["vocabulary"]
    assert [vocabulary[k] for k in batch["inputs"][0]] == ["a", "good", "film", "<unk>", "<unk>"]


def test_training_batches(fields):
    data = Sentences(**fields | {"widths": (), "batch_size": 6})
    batch = data.train(0)[0]
    assert {name: (a.shape, a.dtype) for name, a in batch.items()} == data.spec().arrays
    assert np.unique(batch["inputs"], axis=0).shape[0] == 6  # all lines
    vocabulary = data.metadata()["vocabulary"]
    for ids, target in zip(batch["inputs"], batch["targets"], strict=True):
        numbers = [int(vocabulary[k][1:]) for k in ids if vocabulary[k][:1] == "x"]
        assert all(target == 1 - number % 2 for number in numbers)


def test_a_tenth_of_each_class_is_tested(tmp_path):
    data = Sentences(path=write(tmp_path / "a.tsv", [3] * 200), min_count=1, batch_size=9)
    assert data.metadata()["sizes"] == {"train": 162, "validation": 18, "test": 20}
    labels = [label for _, label in rows(data, "test")]
    assert labels.count("pos") == labels.count("neg") == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": None}, "^path must be given with validation_path or test_path"),
        ({"label_column": 2}, "^label_column must be at least 0 and at most 1, got 2"),
        ({"name": "sst"}, "^name must be one of None, modules, trec_coarse, trec_fine, got sst"),
        ({"batch_size": 7}, "^batch_size must be at most 6, the training sentences, got 7"),
        ({"widths": (8,)}, "^widths must rise"),
    ],
)
def test_mistakes(changes, message, fields):
    with pytest.raises(UserError, match=message):
        Sentences(**fields | changes).train(0)


def test_mistakes_of_the_text(fields, tmp_path):
    odd = write(tmp_path / "odd.tsv", [2, 2], ("pos", "so-so"))
    with pytest.raises(
        UserError, match="^test_path=.*odd.tsv has the class 'so-so', which the tra"
    ):
        Sentences(**fields | {"test_path": odd}).metadata()
    one = write(tmp_path / "one.tsv", [2, 2], ("pos", "pos"))
    with pytest.raises(UserError, match="the training text must have two classes, it has pos"):
        Sentences(**fields | {"path": one}).metadata()
    with pytest.raises(UserError, match="^path is needed: a file with a class and a sentence"):
        Sentences().metadata()
    data = Sentences(**fields)
    for text, n in (("", 0), ("a " * 9, 9)):
        with pytest.raises(UserError, match=f"^prompt must have from 1 to max_length=8 .* got {n}"):
            data.read_prompt(text, data.metadata())
