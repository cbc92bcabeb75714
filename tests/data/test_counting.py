"""Words of a counting language by hand, each n of the test once, mistakes."""

import numpy as np
import pytest

from nets.data.counting import Counting
from nets.errors import UserError


def words(batch, key):
    return ["".join(".abc"[i] for i in row) for row in batch[key]]


def test_rows_of_the_test_by_hand():
    (batch,) = Counting(max_count=2, max_test_count=3, eval_size=3, eval_batch_size=3).evaluate(
        "test"
    )
    assert words(batch, "inputs") == [".ab....", ".aabb..", ".aaabbb"]
    assert words(batch, "targets") == ["ab.....", "aabb...", "aaabbb."]
    # from the second b on, and the end
    assert batch["mask"].tolist() == [
        [0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 1, 1],
    ]


def test_three_letters_by_hand():
    data = Counting(letters=3, max_count=2, max_test_count=2, eval_size=2, eval_batch_size=2)
    (batch,) = data.evaluate("test")
    assert words(batch, "inputs") == [".abc...", ".aabbcc"]
    assert words(batch, "targets") == ["abc....", "aabbcc."]
    assert batch["mask"].tolist() == [[0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1]]
    assert data.metadata()["input_symbols"] == [".", "a", "b", "c"]
    assert data.metadata()["num_classes"] == data.metadata()["vocab_size"] == 4


def test_training_has_every_n_and_counts_every_symbol():
    data = Counting(max_count=3, batch_size=200)
    batch = data.train(0)[0]
    texts = [word.rstrip(".") for word in words(batch, "inputs")]
    assert {*texts} == {".ab", ".aabb", ".aaabbb"}
    np.testing.assert_array_equal(batch["mask"].sum(1), [len(text) for text in texts])
    assert (batch["targets"][:, :-1] == batch["inputs"][:, 1:]).all()
    again, other = data.train(0)[0], data.train(1)[0]
    assert (batch["inputs"] == again["inputs"]).all() and (batch["inputs"] != other["inputs"]).any()


def test_each_n_of_the_test_comes_once_and_validation_has_those_of_training():
    data = Counting()
    for split, longest in (("test", 60), ("validation", 20)):
        (batch,) = data.evaluate(split)
        counts = (batch["inputs"] == 1).sum(1)
        assert counts[batch["mask"].any(1)].tolist() == [1 + k % longest for k in range(60)]
        assert (batch["mask"].sum(1)[:60] == counts[:60]).all()  # n - 1 times b, and the end


def test_shapes_are_known_before_and_equal_those_of_training():
    data = Counting(letters=3, max_count=5, batch_size=4)
    batch = data.train(0)[0]
    assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec().arrays


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"letters": 1}, "letters must be at least 2 and at most 26, got 1"),
        ({"max_count": 0}, "max_count must be at least 1, got 0"),
        ({"max_test_count": 0}, "max_test_count must be at least 1, got 0"),
    ],
)
def test_mistakes_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        Counting(**fields)
