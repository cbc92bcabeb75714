"""Paths over images: where their points are drawn."""

import numpy as np

from nets.report.path_grid import PathGrid


def test_points_outside_of_an_image_are_drawn_at_its_edge(tmp_path, figures):
    paths = np.array([[[5.0, 5.0], [-3.0, 4.0]], [[9.0, 2.0], [6.0, 14.0]]])
    PathGrid("paths", np.zeros((2, 10, 10, 1)), paths, (4,), ("", "")).write(tmp_path, "x")
    (axes,) = figures[0].axes
    marks = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]
    second = 10.6  # the left edge of the second image
    np.testing.assert_allclose(
        marks, [[5, 5], [0.3, 4], [second + 9, 2], [second + 6, 9.7]], rtol=1e-6
    )
