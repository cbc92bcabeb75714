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
    found = arc(np.array(used))
    assert (found % 5).tolist() in [a for a in arcs if whole <= {*a}]
    assert len(found) == shortest and (np.diff(found) == 1).all() and -5 < found[0] <= found[-1] < 5


def test_all_slots_in_their_order_if_all_are_used_or_none():
    for used in (True, False):
        assert arc(np.full(4, used)).tolist() == [0, 1, 2, 3]


def test_heads_are_in_order_and_slots_are_named_by_how_far_they_are_from_the_first():
    row = {"inputs": np.zeros((3, 2)), "targets": np.ones((3, 1)), "mask": np.array([0, 1, 1])}
    weights = np.zeros((1, 3, 6))
    weights[0, :, 5], weights[0, 2, 1] = 1, 0.5
    deep = [f"read 1, layer {k}" for k in (2, 10)]
    names = ("read 1", *reversed(deep), "read 10", "read 2", "write 1", "write 2")
    heads = dict.fromkeys(names, weights)
    figure = sequences({"as in training": row}, np.ones((1, 3, 1)), heads)["answers"]
    named = [drawn.label.partition(":")[0] for drawn in figure.maps[3:]]
    assert named == ["write 1", "write 2", "read 1", "read 2", "read 10", *deep]
    drawn = figure.maps[3]
    assert drawn.names == ("-1", "0", "1")
    np.testing.assert_array_equal(drawn.values, weights[0][:, [5, 0, 1]])


@pytest.mark.parametrize(
    ("used", "named"),
    [
        ((20, 59), {0: "20", 39: "59"}),
        ((87, 1), {0: "-41", 41: "0"}),  # 1 is too close to it
        ((100, 30), {0: "-28", 28: "0", 58: "30"}),
        ((0, 40), {0: "0", 40: "40"}),
    ],
)
def test_names_of_slots_leave_room_for_that_of_0(used, named):
    weights = np.zeros((1, 3, 128))
    weights[0, 0, list(used)] = 1
    row = {"inputs": np.zeros((3, 2)), "targets": np.ones((3, 1)), "mask": np.array([0, 1, 1])}
    figure = sequences({"as in training": row}, np.ones((1, 3, 1)), {"read 1": weights})["answers"]
    assert {i: name for i, name in enumerate(figure.maps[3].names) if name} == named
