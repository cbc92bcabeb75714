"""Lazy batches, padding and order, by hand."""

import itertools

import numpy as np
import pytest

from nets.data.dataset import Batches, padded, shuffled
from nets.errors import UserError
from tests.support import toys


def test_batches_are_made_when_they_are_asked_for():
    made = []
    batches = Batches(lambda i: made.append(i) or {"i": np.array(i)}, 3)
    assert len(batches) == 3 and not made
    doubled = batches.map(lambda batch: {"i": 2 * batch["i"]})
    assert [int(batch["i"]) for batch in doubled] == [0, 2, 4] and made == [0, 1, 2]
    for i in (3, -1):
        with pytest.raises(IndexError):
            batches[i]
    endless = Batches(lambda i: {"i": i})
    assert [b["i"] for b in itertools.islice(endless, 3)] == [0, 1, 2] and endless[10**9]


def test_an_evaluation_is_filled_up_with_its_first_row():
    batches = padded(5, 4, lambda rows: {"rows": rows})
    assert [batch["rows"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 0, 0, 0]]
    assert [batch["mask"].tolist() for batch in batches] == [[1, 1, 1, 1], [1, 0, 0, 0]]
    steps = padded(1, 2, lambda rows: {"mask": np.array([[1, 0], [1, 1]], np.float32)})
    assert steps[0]["mask"].tolist() == [[1, 0], [0, 0]] and steps[0]["mask"].dtype == np.float32


def test_every_row_comes_once_an_epoch_in_an_order_of_its_own():
    rows = np.concatenate([shuffled(7, 10, 4, i) for i in range(5)])
    epochs = rows.reshape(2, 10)
    assert (np.sort(epochs) == np.arange(10)).all() and (epochs[0] != epochs[1]).any()
    np.testing.assert_array_equal(shuffled(7, 10, 4, 3), rows[12:16])
    assert (shuffled(8, 10, 10, 0) != epochs[0]).any()


def test_data_without_text_reads_no_prompt():
    with pytest.raises(UserError, match="^prompt Blobs reads no text, got 'a word'"):
        toys.Blobs().read_prompt("a word", {})
