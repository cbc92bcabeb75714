"""Charts of a comparison."""

import numpy as np
import pytest

from nets.report import comparison
from nets.report.comparison import Points, Series
from nets.report.page import Spread


def test_names_that_end_in_numbers_are_drawn_over_them():
    table = {
        name: {"test loss": Spread(loss, 0.1, 3), "parameters": Spread(10, 0, 3)}
        for name, loss in (("LSTM k2=4", 3.0), ("GRU k2=1", 2.0), ("LSTM k2=1", 4.0))
    }
    (panel,) = comparison.charts("", table).panels  # the same number of parameters is no chart
    assert isinstance(panel, Series) and panel.title == "test loss"
    x, means, deviations = panel.series["LSTM k2"]
    np.testing.assert_array_equal(x, [1, 4])
    np.testing.assert_array_equal(means, [4, 3])
    np.testing.assert_array_equal(deviations, [0.1, 0.1])
    assert panel.series.keys() == {"LSTM k2", "GRU k2"} and panel.x_label == "k2"


@pytest.mark.parametrize(
    ("name", "beginning", "number"),
    [("adam 0.001", "adam", 0.001), ("adam 1e-3", "adam", 1e-3), ("width=16", "width", 16)],
)
def test_the_number_at_the_end_of_a_name(name, beginning, number):
    table = {name: {"loss": Spread(1.0, 0, 1)}, f"{beginning} 5": {"loss": Spread(2.0, 0, 1)}}
    (panel,) = comparison.charts("", table).panels
    assert panel.series[beginning][0].tolist() == sorted([number, 5])


def test_other_names_are_points(tmp_path):
    table = {"plain": {"loss": Spread(1.0, 0.1, 2)}, "dropout 0.5": {"loss": Spread(2.0, 0.0, 1)}}
    picture = comparison.charts("Two", table)
    (panel,) = picture.panels
    assert isinstance(panel, Points) and panel.names == ("plain", "dropout 0.5")
    assert picture.write(tmp_path, "two").stat().st_size > 5000


def test_the_table_of_a_terminal_is_aligned():
    table = {
        "a": {"loss": Spread(1.0, 0.25, 2)},
        "long": {"loss": Spread(2.0, 0.0, 2), "x": Spread(3, 0, 1)},
    }
    assert comparison.as_text(table).splitlines() == [
        "          loss  x",
        "a     1 ± 0.25",
        "long         2  3",
    ]
