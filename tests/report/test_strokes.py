"""Drawings as SVG: positions, what was given, and sizes."""

import re

import numpy as np
import pytest

from nets.report.strokes import StrokeDensity, StrokeGrid, lines

SQUARE = np.array([[1, 1, 0], [4, 0, 0], [0, 4, 0], [-4, 0, 1], [0, -4, 0], [1, 1, 1]], float)


def polylines(grid, folder):
    grid.write(folder, "a")
    text = (folder / "a.svg").read_text()
    matches = re.findall(r'<polyline stroke="([^"]+)" points="([^"]+)"', text)
    return [
        (colour, np.array([[float(x) for x in pair.split(",")] for pair in points.split()]))
        for colour, points in matches
    ]


def test_strokes_end_where_the_pen_is_lifted():
    assert [line.tolist() for line in lines(SQUARE)] == [
        [[1, 1], [5, 1], [5, 5], [1, 5]],
        [[1, 1], [2, 2]],
    ]
    assert lines(np.zeros((0, 3))) == []


def test_a_drawing_is_scaled_into_its_cell_and_y_goes_down(tmp_path):
    grid = StrokeGrid("Two", (SQUARE, 10 * SQUARE), ("one", "two"), 2)
    first, short, second, _ = polylines(grid, tmp_path)
    shape = np.ptp(first[1], axis=0)
    assert shape[0] == pytest.approx(shape[1], rel=1e-3)  # a square stays one
    np.testing.assert_allclose(np.ptp(second[1], axis=0), shape, rtol=2e-3)  # both fill the cell
    assert first[1][0, 1] < first[1][2, 1] and first[1][0, 0] < first[1][1, 0]
    assert first[1][:, 0].max() < second[1][:, 0].min()
    assert 0 <= first[1].min() and second[1][:, 0].max() <= grid.size()[0]
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_what_was_given_is_grey_and_the_rest_goes_on_from_it(tmp_path):
    grid = StrokeGrid("One", (SQUARE,), ("a < b",), 1, given=(2,))
    (one, given), (two, rest), (three, last) = polylines(grid, tmp_path)
    assert one != two == three and len(given) == 2 and len(rest) == 3 and len(last) == 2
    np.testing.assert_allclose(rest[0], given[-1])
    assert "a &lt; b" in (tmp_path / "a.svg").read_text()


def test_a_point_alone_and_nothing_at_all_can_be_drawn(tmp_path):
    grid = StrokeGrid("Small", (np.array([[1.0, 2, 1]]), np.zeros((0, 3))), ("", ""), 2)
    ((_, points),) = polylines(grid, tmp_path)
    assert len(points) == 2


def test_a_density_is_drawn(tmp_path):
    figure = StrokeDensity("Density", np.eye(4), (0, 6, 0, 6), SQUARE)
    assert figure.write(tmp_path, "density").stat().st_size > 1000
