"""Signals over time, one below the other."""

import numpy as np

from nets.report.time_maps import TimeMap, TimeMaps


def test_signals_share_their_steps(tmp_path, figures):
    rng = np.random.default_rng(0)
    parts = TimeMap("first", rng.random((20, 3))), TimeMap("second", rng.random((12, 40)), (-1, 1))
    TimeMaps("Both", parts).write(tmp_path, "x")
    one, two = figures[0].axes
    assert one.get_xlim() == two.get_xlim() == (0, 20)
    np.testing.assert_array_equal(one.images[0].get_array(), parts[0].values.T)
    assert two.images[0].get_extent() == [0, 12, 40, 0]  # entry 0 at the top
    assert two.images[0].get_clim() == (-1, 1) and two.get_ylabel() == "second"
    assert one.get_title() == "Both"


def test_the_limits_and_names_are_told(tmp_path, figures):
    parts = (
        TimeMap("first", np.zeros((20, 3)), (-1.5, 2.0)),
        TimeMap("second", np.zeros((20, 40)), names=("7", *[""] * 38, "46")),
    )
    TimeMaps("Both", parts).write(tmp_path, "x")
    one, two = figures[0].axes
    assert [t.get_text() for t in one.texts] == ["white 2\nblack -1.5"]
    assert [t.get_text() for t in two.get_yticklabels()] == ["7", "46"]
    assert two.get_yticks().tolist() == [0.5, 39.5] and not len(one.get_yticks())
    figures[0].draw_without_rendering()
    edge = figures[0].get_window_extent().x1
    assert all(t.get_window_extent().x1 <= edge for axes in (one, two) for t in axes.texts)
    boxes = [axes.texts[0].get_window_extent() for axes in (one, two)]
    assert not boxes[0].overlaps(boxes[1])


def test_steps_and_entries_have_names(tmp_path, figures):
    part = TimeMap("x", np.zeros((3, 2)), names=("top", "below"))
    TimeMaps("Named", (part, part), tuple("abc")).write(tmp_path, "x")
    one, two = figures[0].axes
    assert [label.get_text() for label in two.get_xticklabels()] == ["a", "b", "c"]
    assert list(two.get_xticks()) == [0.5, 1.5, 2.5] and not len(one.get_xticks())
    assert [label.get_text() for label in one.get_yticklabels()] == ["top", "below"]
    assert one.get_ylim() == (2, 0) and list(one.get_yticks()) == [0.5, 1.5]
