"""The slots that are drawn: the shortest arc of the circle that holds those in use."""

import itertools

import numpy as np
import pytest

from nets.tasks.answer_bits_figures import arc, sequences


@pytest.mark.parametrize("used", [u for u in itertools.product((False, True), repeat=5) if any(u)])
def test_the_arc_is_the_shortest_that_holds_the_used_slots(used):
    arcs = [[(first + k) % 5 for k in range(count)] for count in range(1, 6) for first in range(5)]
    whole = {k for k in range(5) if used[k]}
    shortest = min(len(a) for a in arcs if whole <= {*a})
    assert arc(np.array(used)).tolist() in [a for a in arcs if whole <= {*a}]
    assert len(arc(np.array(used))) == shortest


def test_all_slots_in_their_order_if_all_are_used_or_none():
    for used in (True, False):
        assert arc(np.full(4, used)).tolist() == [0, 1, 2, 3]


def test_heads_are_in_order_and_the_first_and_the_last_slot_are_named():
    row = {"inputs": np.zeros((3, 2)), "targets": np.ones((3, 1)), "mask": np.array([0, 1, 1])}
    weights = np.zeros((1, 3, 6))
    weights[0, :, 5], weights[0, 2, 1] = 1, 0.5
    heads = dict.fromkeys(("read 1", "read 10", "read 2", "write 1", "write 2"), weights)
    figure = sequences({"as in training": row}, np.ones((1, 3, 1)), heads)["answers"]
    named = [drawn.label.partition(":")[0] for drawn in figure.maps[3:]]
    assert named == ["write 1", "write 2", "read 1", "read 2", "read 10"]
    drawn = figure.maps[3]
    assert drawn.names == ("5", "", "1")
    np.testing.assert_array_equal(drawn.values, weights[0][:, [5, 0, 1]])
