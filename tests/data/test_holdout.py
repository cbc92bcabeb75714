"""Shares that are held out."""

import pytest

from nets.data.holdout import holdout


@pytest.mark.parametrize(("n", "share", "count"), [(10, 0.2, 2), (7, 0.1, 1), (3, 0.1, 0)])
def test_a_share_is_held_out_and_no_row_is_lost(n, share, count):
    part, rest = holdout(n, share)
    assert len(part) == count and sorted(part + rest) == list(range(n))
    assert (part, rest) == holdout(n, share) == (sorted(part), sorted(rest))


def test_a_row_is_left_to_train_on():
    assert holdout(1, 0.9) == ([], [0])
