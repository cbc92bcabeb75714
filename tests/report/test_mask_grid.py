"""Masks are drawn in the colours of their classes, beside a legend; bars are as long as numbers."""

import numpy as np
from matplotlib.colors import to_rgb

from nets.report.bar_chart import BarChart
from nets.report.mask_grid import MaskGrid

NAMES, COLOURS = ("sky", "road", "car"), ((0, 0, 255), (200, 100, 0), (0, 255, 0))


def grid(masks, **more):
    images = np.full((2, 40, 60, 1), 77, np.uint8)
    return MaskGrid("Masks", images, masks, NAMES, COLOURS, **more)


def test_each_pixel_has_the_colour_of_its_class(figures, tmp_path):
    truth, predicted = np.zeros((2, 2, 40, 60), int)
    truth[0, :, 30:], truth[1, 5:9], predicted[:, 20:] = 1, -1, 2
    masks = {"truth": truth, "a network": predicted}
    grid(masks, notes={"a network": ("good", "bad")}).write(tmp_path, "x")
    (figure,) = figures
    axes = figure.axes
    assert [a.get_title() for a in axes] == ["image", "truth", "a network", "", "", ""]
    assert [a.get_xlabel() for a in axes] == ["", "", "good", "", "", "bad"]
    drawn = [a.get_images()[0].get_array() for a in axes]
    assert (drawn[0] == 77).all() and drawn[0].shape == (40, 60)
    for column, mask in ((1, truth), (2, predicted)):
        for row in (0, 1):
            picture = drawn[3 * row + column]
            for k, colour in enumerate(COLOURS):
                assert (picture[mask[row] == k] == colour).all()
    void = drawn[4][5:9].reshape(-1, 3)  # black with some white stripes
    assert {tuple(p) for p in void.tolist()} == {(0, 0, 0), (255, 255, 255)}
    assert 0.5 < (void == 0).mean() < 0.9


def test_the_legend_names_the_classes_that_are_there(figures, tmp_path):
    mask = np.zeros((2, 40, 60), int)
    mask[0, 0], mask[1, 2] = 2, -1
    grid({"truth": mask}).write(tmp_path, "x")
    (legend,) = figures[0].legends
    assert [t.get_text() for t in legend.get_texts()] == ["sky", "car", "void"]
    patches = legend.get_patches()
    assert patches[0].get_facecolor()[:3] == (0, 0, 1) and patches[2].get_hatch() == "////"


def test_bars_end_at_their_numbers(figures, tmp_path):
    values = np.array([0.25, np.nan, 1.0])
    chart = BarChart("Bars", NAMES, values, "share", 1.0, ("mean", 0.625), COLOURS)
    chart.write(tmp_path, "x")
    (axes,) = figures[0].axes
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0, 1]
    assert [t.get_text() for t in axes.texts] == ["0.250", "none", "1.000"]
    assert [t.get_text() for t in axes.get_yticklabels()] == list(NAMES)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first on top
    assert axes.patches[2].get_facecolor()[:3] == (0, 1, 0)
    (line,) = axes.lines
    assert list(line.get_xdata()) == [0.625, 0.625] and line.get_label() == "mean 0.625"
    assert to_rgb(line.get_color()) == (0, 0, 0)
