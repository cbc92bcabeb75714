"""Learning curves: each split in its own look, of one run and of several."""

import numpy as np
import pytest
from matplotlib.text import Text

from nets.report.line_plot import LinePlot, learning_curves

HISTORY = [
    {"step": 10, "split": "train", "loss": 2.0, "accuracy": 0.1, "steps_per_s": 9.0},
    {"step": 20, "split": "train", "loss": 1.0, "accuracy": 0.2, "steps_per_s": 9.0},
    {"step": 20, "split": "validation", "loss": 1.5, "accuracy": 0.15, "elapsed_s": 3.0},
    {"step": 30, "split": "train", "loss": 0.01, "accuracy": 0.9},
    {"step": 30, "split": "validation", "loss": float("nan"), "accuracy": 0.8},
    {"step": 30, "split": "test", "loss": 0.5, "accuracy": 0.7},
]


def test_curves_show_every_metric_of_every_split(tmp_path, figures):
    learning_curves([HISTORY], tmp_path / "x.png")
    loss, accuracy = figures[0].axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    curves = {line.get_label(): line.get_xydata().tolist() for line in accuracy.lines}
    assert curves == {
        "train": [[10, 0.1], [20, 0.2], [30, 0.9]],
        "validation": [[20, 0.15], [30, 0.8]],
        "test": [[30, 0.7]],
    }
    assert accuracy.lines[2].get_marker() == "D"
    assert {t.get_text() for t in accuracy.get_legend().get_texts()} == set(curves)
    figures[0].draw_without_rendering()
    assert not figures[0].findobj(lambda part: isinstance(part, Text) and "$" in part.get_text())


def test_a_split_looks_the_same_whatever_comes_first_and_however_much_there_is_of_it(
    tmp_path, figures
):
    """In every panel: here validation comes first, accuracy has no train, and top5 one point."""
    history = [
        {"step": 10, "split": "validation", "loss": 3.0, "accuracy": 0.1},
        {"step": 20, "split": "validation", "loss": 2.5, "accuracy": 0.2, "top5": 0.3},
        {"step": 20, "split": "train", "loss": 2.0},
        {"step": 30, "split": "test", "loss": 0.5, "accuracy": 0.7, "top5": 0.9},
        {"step": 40, "split": "test", "loss": 0.4, "accuracy": 0.8},
    ]
    styles = {"train": set(), "validation": set(), "test": set()}
    for rows in (HISTORY, history):
        learning_curves([rows], tmp_path / "x.png")
        for line in (line for axes in figures[-1].axes for line in axes.lines):
            form = "mark" if len(line.get_xdata()) == 1 else "line"
            style = line.get_marker() if form == "mark" else line.get_linestyle()
            styles[line.get_label()] |= {line.get_color(), (form, style)}
    assert {split: sorted(map(str, found)) for split, found in styles.items()} == {
        "train": ["#0072B2", "('line', '-')", "('mark', 'o')"],
        "validation": ["#E69F00", "('line', '--')", "('mark', 's')"],
        "test": ["#009E73", "('line', '-.')", "('mark', 'D')"],
    }


def test_the_loss_comes_first_and_what_there_is_of_training_alone_last(tmp_path, figures):
    rows = [
        {"step": 1, "split": "train", "accuracy": 0.5, "grad_norm": 1.0, "loss": 2.0, "top5": 1.0},
        {"step": 1, "split": "validation", "accuracy": 0.5, "loss": 2.0, "top5": 0.9},
    ]
    learning_curves([rows], tmp_path / "x.png")
    labels = [axes.get_ylabel() for axes in figures[0].axes]
    assert labels == ["loss", "accuracy", "top5", "grad norm"]


def test_several_runs_stand_in_one_picture_each_split_once_in_the_legend(tmp_path, figures):
    other = [row | {"accuracy": 1 - row["accuracy"]} for row in HISTORY[:5]]  # without a test
    learning_curves([other, HISTORY], tmp_path / "x.png")
    accuracy = figures[0].axes[1]
    blue, orange, green = ([n for n in accuracy.lines if n.get_color() == colour]
                           for colour in ("#0072B2", "#E69F00", "#009E73"))  # fmt: skip
    for first, second in (blue, orange):
        np.testing.assert_allclose(first.get_ydata(), 1 - second.get_ydata())
    assert len(green) == 1
    names = [t.get_text() for t in accuracy.get_legend().get_texts()]
    assert names == ["train", "validation", "test"]


def test_a_narrow_loss_has_a_plain_axis_and_no_history_is_no_error(tmp_path, figures):
    learning_curves([HISTORY[:3]], tmp_path / "x.png")
    assert figures[0].axes[0].get_yscale() == "linear"
    learning_curves([[]], tmp_path / "y.png")
    assert (tmp_path / "y.png").exists()


def test_a_metric_of_the_closing_evaluation_alone_has_no_panel_beside_others(tmp_path, figures):
    once = {"step": 2, "split": "test", "loss": 0.5, "iou_cat": 0.7}
    learning_curves(
        [[{"step": i, "split": "train", "loss": 1.0} for i in (1, 2)] + [once]], tmp_path / "x.png"
    )
    learning_curves([[once]], tmp_path / "y.png")
    several, alone = ([axes.get_ylabel() for axes in figure.axes] for figure in figures[-2:])
    assert several == ["loss"] and alone == ["loss", "iou cat"]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.02, 0.8, {"0.05", "0.1", "0.2", "0.5"}),
        (0.21, 0.45, {"0.3", "0.4"}),
        (1e-4, 1.0, {"0.0001", "0.01", "1"}),
    ],
)
def test_a_logarithmic_axis_has_numbers_however_narrow_it_is(low, high, labels, tmp_path, figures):
    x, y = np.arange(3), np.geomspace(low, high, 3)
    LinePlot("lengths", x, {"largest": y}, "length", "probability", log=True).write(tmp_path, "x")
    figures[0].draw_without_rendering()
    axis = figures[0].axes[0].yaxis
    bottom, top = figures[0].axes[0].get_ylim()
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    shown = {t.label1.get_text() for t in ticks if bottom <= t.get_loc() <= top} - {""}
    assert labels <= shown
