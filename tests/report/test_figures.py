import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nets.report.bar_chart import BarChart
from nets.report.box_grid import Box, BoxGrid
from nets.report.class_scores import ClassScores
from nets.report.figures import COLOURS, Panel, Panels
from nets.report.heatmap import Heatmap
from nets.report.image_grid import ImageGrid
from nets.report.line_plot import LinePlot
from nets.report.marked_image import MarkedImage
from nets.report.mask_grid import MaskGrid
from nets.report.path_grid import PathGrid
from nets.report.scatter_plot import ScatterPlot
from nets.report.surface import Surface
from tests.support.pictures import pixels

DIGITS = tuple("0123456789")
WORDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CONFUSION = np.diag(np.full(10, 900))
CONFUSION[3, 8], CONFUSION[5, 2] = 1, 44


def letters(figure):
    """Every text that is seen, laid out as in the file."""
    figure.draw_without_rendering()
    found = []
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            found += [label for at, label in ticks if low <= at <= high]
        found += axes.get_legend().get_texts() if axes.get_legend() else []
    return [text for text in found if text.get_text().strip()]


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape)


def confusion(values, names):
    labels = "true class", "predicted class"
    return Heatmap("Confusion matrix", values, names, names, *labels, unit="images")


VIEWS = {
    "mistakes": ImageGrid(
        "The worst mistakes",
        noise(24, 8, 8, 1),
        tuple(f"{WORDS[i % 10]} read as {WORDS[(i + 3) % 10]}" for i in range(24)),
    ),
    "filters": ImageGrid("First-layer filters", noise(64, 5, 5, 3), tuple(map(str, range(64)))),
    "one": ImageGrid("A title longer than the one picture is wide " * 2, noise(1, 4, 4, 1), ("",)),
    "confusion": confusion(CONFUSION, WORDS),
    "many": confusion(np.eye(100, dtype=int), tuple(f"class {i}" for i in range(100))),
    "attention": Heatmap("Attention", np.full((3, 7), 1 / 7), tuple("abc"), DIGITS[:7], "to", "of"),
    "signed": Heatmap("Weights", np.eye(3) - 0.5, DIGITS[:3], DIGITS[:3], "to", "from"),
    "rejection": LinePlot(
        "Rejection", np.arange(9), {"a": noise(9), "b": noise(9)}, "x / %", "y / %"
    ),
    "surface": Surface("Plane", noise(9, 9), (-6.0, 6.0), (0, 1), noise(20, 2), np.arange(20) % 2),
    "kernels": Panels(
        "Images with marks and notes",
        (
            MarkedImage("Output", noise(9, 9), marks=(("here", 2, 3), ("there", 5, 6))),
            MarkedImage("Sharpened", noise(9, 9), (0, 1), note="  0 -1  0\n -1  5 -1\n  0 -1  0"),
        ),
    ),
    "scores": ClassScores(
        "Best class: automobile (probability 0.400)",
        np.full((90, 20, 3), 99, np.uint8),
        (0.0, 35.0, 20.0, 55.0),
        WORDS[1:4] + ("great white shark, white shark, man-eater, man-eating shark " * 2, "sun"),
        (0.4, 0.3, 0.2, 0.1, 0.0),
        "probability",
    ),
    "distances": ClassScores(
        "Best", np.zeros((9, 9, 1), np.uint8), (0, 0, 9, 9), WORDS[:3], (9e3, 1e4, -5.0), "distance"
    ),
    "boxes": BoxGrid(
        "Some objects",
        np.full((1, 60, 90, 3), 99, np.uint8),
        ((Box((10.0, 20.0, 30.0, 40.0), "cat 0.9", "cat"), Box((80.0, 0, 90, 9), "dog", "dog")),),
        ("cat", "dog"),
        1,
        6.0,
        dashed=False,
    ),
    "masks": MaskGrid(
        "Images beside masks whose title is longer than the picture is wide " * 2,
        np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8),
        {
            name: np.random.default_rng(i).integers(-1, 10, (3, 20, 30))
            for i, name in enumerate(("truth", "prediction"))
        },
        WORDS,
        tuple((25 * k, 200 - 20 * k, 99) for k in range(10)),
        {"prediction": ("90.1% right, mean IoU 0.52",) * 3},
    ),
    "bars": BarChart(
        "Intersection over union of each class (its share of the pixels)",
        WORDS,
        np.array([0.5, 0.99, 0.001, np.nan, 0.4, 1.0, 0.0, 0.7, 0.51, 0.3]),
        "intersection over union",
        limit=1.0,
        mark=("mean", 0.5),
    ),
    "scatter": ScatterPlot("Plane", noise(60, 2), np.arange(60) % 10, WORDS, "first", "second"),
    "paths": PathGrid(
        "Where it looks",
        np.full((5, 9, 12, 1), 99.0),
        np.stack([np.linspace(1.0, 8.0, 3)] * 10).reshape(5, 2, 3).swapaxes(1, 2),
        (4, 8),
        ("3 read as 8",) * 5,
    ),
    "hops": Panels(
        "Where each hop looks",
        tuple(
            Heatmap(
                "what is the kitchen west of? bathroom (not garden)",
                np.ones((rows, 3)),
                ("the garden is to the west of the hallway",) * rows,
                ("1", "2", "3"),
                "",
                "hop",
                fixed_range=True,
                unit="weight",
                square=False,
            )
            for rows in (8, 2)
        ),
        columns=2,
    ),
    "panels": Panels(
        "A chart and images",
        (
            LinePlot("Signal", np.arange(9), {"a": noise(9)}, "step", "", mark=("here", 2.0)),
            ImageGrid("Moved", noise(7, 8, 8, 1), DIGITS[:7]),
        ),
    ),
}


@pytest.mark.parametrize("name", VIEWS)
def test_letters_are_legible_and_do_not_overlap(name, tmp_path, figures):
    VIEWS[name].write(tmp_path, "view")
    assert pixels(tmp_path / "view.png").std() > 0
    (figure,) = figures
    found = letters(figure)
    assert min(t.get_fontsize() for t in found) >= 9
    assert max(t.get_window_extent().width for t in found) <= figure.get_window_extent().width
    straight = [t for t in found if t.get_rotation() % 90 == 0]
    boxes = [(t.get_text(), t.get_window_extent().padded(-1)) for t in straight]
    pairs = itertools.combinations(boxes, 2)
    assert [(a, b) for (a, box), (b, other) in pairs if box.overlaps(other)] == []


def test_a_frame_is_where_the_network_reads(tmp_path, figures):
    for name, frames in (("scores", 1), ("distances", 0)):
        VIEWS[name].write(tmp_path, name)
        image, bars = figures[-1].axes
        assert len(image.lines) == frames and len(bars.patches) == len(VIEWS[name].names)
        for line in image.lines:
            assert line.get_xydata().min(0).tolist() == [0, 35]
            assert line.get_xydata().max(0).tolist() == [20, 55]


def test_points_of_an_image_are_circled_by_row_and_column(tmp_path, figures):
    VIEWS["kernels"].write(tmp_path, "x")
    marked, noted = figures[0].axes
    points = {line.get_label(): line.get_xydata()[0].tolist() for line in marked.lines}
    assert points == {"here": [3, 2], "there": [6, 5]}
    assert marked.images[0].get_clim() == (noise(9, 9).min(), noise(9, 9).max())
    assert noted.images[0].get_clim() == (0, 1) and "5 -1" in noted.get_xlabel()


@pytest.mark.parametrize("names", [WORDS, DIGITS])
def test_points_are_drawn_by_class(names, tmp_path, figures):
    points = noise(60, 2)
    ScatterPlot("t", points, np.arange(60) % 10, names, "x", "y").write(tmp_path, "x")
    (axes,) = figures[0].axes
    for i, drawn in enumerate(axes.collections):
        np.testing.assert_array_equal(drawn.get_offsets(), points[i::10])
    assert len(axes.collections) == 10
    outlines = [collection.get_paths()[0].vertices.tobytes() for collection in axes.collections]
    assert len({*outlines}) == 10
    assert (axes.get_legend() is None) == (names is DIGITS)


def test_a_single_mistake_among_hundreds_is_seen(tmp_path, figures):
    VIEWS["confusion"].write(tmp_path, "x")
    axes = figures[0].axes[0]
    (image,) = axes.images

    def colour(value):
        return np.array(image.cmap(image.norm(value))[:3])

    assert np.abs(colour(1) - colour(0)).max() > 0.05
    numbers = {(t.get_position()): t.get_text() for t in axes.texts}
    assert numbers[8, 3] == "1"  # column 8, row 3
    assert numbers[3, 3] == "900"
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    assert figures[0].axes[1].get_ylabel() == "images"  # beside the colours
    assert [t.get_text() for t in axes.get_yticklabels()] == list(WORDS)


def test_numbers_stand_out_from_their_cells(tmp_path, figures):
    for name in ("confusion", "signed"):
        VIEWS[name].write(tmp_path, "x")
        axes = figures[-1].axes[0]
        (image,) = axes.images
        for text in axes.texts:
            column, row = text.get_position()
            behind = image.cmap(image.norm(image.get_array()[row, column]))[:3]
            light = np.dot(behind, [0.299, 0.587, 0.114])
            assert abs((text.get_color() == "white") - light) > 0.4, (name, row, column)


def test_matplotlib_comes_late_and_pyplot_never(tmp_path):
    code = (
        "import sys, numpy as np; from pathlib import Path;"
        "from nets.report.line_plot import LinePlot; assert 'matplotlib' not in sys.modules;"
        "LinePlot('', np.arange(3), {'a': np.arange(3)}, '', '').write(Path(sys.argv[1]), 'x');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_a_wide_matrix_is_drawn_flat(tmp_path):
    names = tuple(map(str, range(40)))
    Heatmap("", noise(4, 40), names[:4], names, "", "").write(tmp_path, "wide")
    with Image.open(tmp_path / "wide.png") as shown:
        assert shown.width > 3 * shown.height


def test_shares_are_coloured_evenly_from_nothing_to_all(tmp_path, figures):
    shares = Heatmap("a", np.array([[0.5, 0.25]]), ("r",), ("c", "d"), "", "", fixed_range=True)
    Panels("two", (shares, shares), columns=1).write(tmp_path, "a")
    (figure,) = figures
    tables = [ax for ax in figure.axes if ax.images]
    assert len(tables) == 2
    (image,) = tables[0].images
    assert image.get_clim() == (0, 1) and image.norm(0.25) == 0.25
    assert not tables[0].texts  # no numbers
    above, below = (ax.get_window_extent() for ax in tables)
    assert above.y0 > below.y1 and abs(above.x0 - below.x0) < 1  # one column


@dataclasses.dataclass(frozen=True, eq=False)
class Disc(Panel):
    """A kind of figure that the report knows nothing of."""

    radius: float

    def size(self):
        return 3, 3

    def plot(self, axes):
        axes.scatter([0], [0], s=self.radius)
        axes.set_title(self.title)


def test_a_new_kind_of_figure_is_one_class(tmp_path, figures):
    disc = Disc("a disc", 40.0)
    assert disc.write(tmp_path, "disc") == tmp_path / "disc.png"
    Panels("beside a chart", (VIEWS["rejection"], disc)).write(tmp_path, "both")
    alone, both = figures
    assert tuple(alone.get_size_inches()) == (3, 3)
    assert [ax.get_title() for ax in both.axes] == ["Rejection", "a disc"]


def test_the_lowest_row_of_a_surface_is_drawn_lowest_in_the_colour_of_its_value(tmp_path):
    values = np.array([[0.0, 0.0], [1.0, 1.0]])
    Surface("Plane", values, (-1.0, 1.0)).write(tmp_path, "x")
    seen = pixels(tmp_path / "x.png").astype(int)
    blue, orange = (
        np.abs(seen - [int(c[i : i + 2], 16) for i in (1, 3, 5)]).max(-1) < 3 for c in COLOURS[:2]
    )
    assert blue.mean() > 0.2 and orange.mean() > 0.2
    assert np.argwhere(blue)[:, 0].min() > np.argwhere(orange)[:, 0].max()


def test_a_scale_is_never_higher_than_its_matrix(tmp_path, figures):
    VIEWS["hops"].write(tmp_path, "x")
    figures[0].draw_without_rendering()
    for matrix, scale in zip(figures[0].axes[::2], figures[0].axes[1::2], strict=True):
        assert matrix.get_title() and scale.get_ylabel() == "weight"
        assert scale.get_window_extent().y1 < matrix.get_window_extent().y1
