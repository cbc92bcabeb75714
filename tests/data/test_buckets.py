"""Batches of like length, and the splits of rows that have none."""

import collections

import numpy as np
import pytest

from nets.data import buckets
from nets.errors import UserError


def test_every_row_comes_once_an_epoch_beside_rows_of_like_length(monkeypatch):
    monkeypatch.setattr(buckets, "SORTED", 5)
    lengths = np.arange(50) % 10
    rows = buckets.training_rows(3, 10, lengths, (4,))
    for epoch in range(3):
        batches = [rows(i) for i in range(5 * epoch, 5 * epoch + 5)]
        assert collections.Counter(np.concatenate(batches).tolist()) == dict.fromkeys(range(50), 1)
        assert all(np.ptp(lengths[batch]) == 1 for batch in batches)
    assert (rows(0) == buckets.training_rows(3, 10, lengths, (4,))(0)).all()
    assert (np.sort(rows(0)) != np.sort(buckets.training_rows(4, 10, lengths, (4,))(0))).any()


def test_the_smallest_width_that_holds_a_batch():
    assert [buckets.width_of((3, 5, 8), np.array([1, n])) for n in (2, 3, 4, 8, 9)] == [
        3, 3, 5, 8, 8,
    ]  # fmt: skip


def test_every_tenth_row_is_tested_and_of_the_others_validated():
    splits = buckets.split_tenths(range(1, 101), None, None)
    assert splits["test"] == [*range(10, 101, 10)]
    assert splits["validation"] == [11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert sorted([*splits["train"], *splits["test"], *splits["validation"]]) == [*range(1, 101)]
    given = buckets.split_tenths([1, 2], [3], [4])
    assert given == {"train": [1, 2], "validation": [3], "test": [4]}


@pytest.mark.parametrize("widths", [(3, 2), (5,), (0, 2), (2, 2)])
def test_widths_must_rise(widths):
    with pytest.raises(UserError, match="^widths must rise from 1 to below max_length=5, got"):
        buckets.check_widths(widths, 5)
