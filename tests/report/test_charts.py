"""Charts: one scale, marks, and logarithmic axes."""

import numpy as np
import pytest
from matplotlib.text import Text

from nets.report.figures import Panels
from nets.report.line_plot import LinePlot
from tests.report.test_figures import VIEWS


@pytest.mark.parametrize("same", [True, False])
def test_charts_to_be_compared_have_one_scale(same, tmp_path, figures):
    low, high = (
        LinePlot("t", np.arange(2), {"a": y}, "x", "y", log=True) for y in ([1, 2], [1e-3, 50])
    )
    Panels("two", (low, high), same_scale=same).write(tmp_path, "x")
    left, right = (axes.get_ylim() for axes in figures[0].axes)
    assert (left == right) == same and right[0] < 1e-3 and right[1] > 50
    assert (left[0] > 0.1) == (not same)


def test_a_mark_is_a_line_at_its_place(tmp_path, figures):
    VIEWS["panels"].write(tmp_path, "x")
    chart, grid = figures[0].axes
    (title,) = figures[0].findobj(
        lambda t: isinstance(t, Text) and t.get_text() == "A chart and images"
    )
    assert title.get_fontsize() > chart.title.get_fontsize() and title.get_weight() == "bold"
    (line,) = [line for line in chart.lines if line.get_label() == "here"]
    assert set(line.get_xdata()) == {2.0} and len(grid.images) == 7


@pytest.mark.parametrize(
    ("most", "labels"), [(2.2, {"0.2", "0.5", "1", "2"}), (300, {"0.1", "1", "10", "100"})]
)
def test_a_logarithmic_axis_has_plain_numbers(most, labels, tmp_path, figures):
    curves = {"norm": np.array([0.15, most])}
    view = LinePlot("t", np.arange(2), curves, "lag", "norm", log=True)
    view.write(tmp_path, "x")
    ax = figures[0].axes[0]
    low, high = ax.get_ylim()
    ticks = [*ax.yaxis.get_major_ticks(), *ax.yaxis.get_minor_ticks()]
    shown = {t.label1.get_text() for t in ticks if low < t.get_loc() < high} - {""}
    assert shown == labels - {label for label in labels if not low < float(label) < high}


def test_a_logarithmic_horizontal_axis(tmp_path, figures):
    curves = {"error": np.array([3.0, 2.0, 1.0])}
    LinePlot("t", np.array([1, 32, 1024]), curves, "width", "error", log_x=True).write(
        tmp_path, "x"
    )
    ax = figures[0].axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    ends = ax.transData.transform([(1, 1), (32, 1), (1024, 1)])[:, 0]
    np.testing.assert_allclose(ends[1] - ends[0], ends[2] - ends[1])
    shown = {t.label1.get_text() for t in ax.xaxis.get_major_ticks()}
    assert {"1", "10", "100", "1000"} <= shown
