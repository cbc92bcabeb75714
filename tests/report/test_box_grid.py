"""Boxes over images: where their labels are."""

import numpy as np
import pytest

from nets.report.box_grid import Box, BoxGrid


@pytest.mark.parametrize(
    "corners", [(2.0, 3.0, 9.0, 9.0), (85.0, 30.0, 90.0, 40.0), (70, 0, 90, 60), (0, 0, 90, 60)]
)
def test_the_label_of_a_box_is_inside_of_the_image(corners, tmp_path, figures):
    boxes = (Box(corners, "cat 0.90", "cat"),)
    image = np.zeros((1, 60, 90, 3), np.uint8)
    BoxGrid("t", image, (boxes,), ("cat",), columns=1, cell=6.0).write(tmp_path, "x")
    (axes,) = figures[0].axes
    (text,) = axes.texts
    figures[0].draw_without_rendering()
    inner, outer = text.get_window_extent(), axes.get_window_extent().padded(2)
    assert outer.x0 <= inner.x0 and inner.x1 <= outer.x1
    assert outer.y0 <= inner.y0 and inner.y1 <= outer.y1


def test_labels_of_boxes_with_one_corner_do_not_hide_each_other(tmp_path, figures):
    corners = [(20, 30, 60, 50), (20, 30, 80, 55), (22, 31, 50, 50)]
    boxes = tuple(Box(c, f"horse 0.9{i}", "cat") for i, c in enumerate(corners))
    image = np.zeros((1, 60, 90, 3), np.uint8)
    BoxGrid("t", image, (boxes,), ("cat",), columns=1, cell=6.0).write(tmp_path, "x")
    (axes,) = figures[0].axes
    figures[0].draw_without_rendering()
    extents = [text.get_window_extent() for text in axes.texts]
    assert len(extents) == 3
    assert not any(a.overlaps(b) for i, a in enumerate(extents) for b in extents[:i])
