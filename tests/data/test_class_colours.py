"""Colours that colour-blind readers tell apart, and tables of classes that cannot be read."""

import itertools

import numpy as np
import pytest

from nets.data import class_colours
from nets.errors import UserError

# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
}  # fmt: skip


@pytest.mark.parametrize("sight", SIGHT)
def test_default_colours_are_told_apart(sight):
    colour = pytest.importorskip("skimage.color")
    colours = np.array([*class_colours.default(21), (0, 0, 0), (255, 255, 255)]) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ SIGHT[sight].T, 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = colour.rgb2lab(seen[None])[0]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2))
    assert nearest > 16  # 2.3 is just noticeable


def test_there_are_as_many_colours_as_classes():
    assert class_colours.default(7) == class_colours.default(30)[:7]
    assert len(class_colours.default(30)) == 30
    assert class_colours.default(1) == ((0, 114, 178),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no classes"),
        ("0 0 0 a\n1 2 road", "has the line '1 2 road'; a name and R, G, B from 0 to 255"),
        ("0 0 0 a\n0 0 0 b", r"has the colour \(0, 0, 0\) twice"),
        ("0 0 0 a\n1 0 0 a", "has the name a twice"),
        ("0 0 300 a", r"a has \(0, 0, 300\); 0 to 255 are valid"),
        ('{"a": [1, 2]}', r"has no colour \[R, G, B\] of a"),
        ('{"a": 3}', r"is no JSON of names and \[R, G, B\]"),
        ('{"a": [1, 2', r"is no JSON of names and \[R, G, B\]"),
    ],
)
def test_tables_of_another_form_are_refused(tmp_path, text, message):
    file = tmp_path / "classes.txt"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        class_colours.read(str(file))


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(UserError, match="class_table=.*none.txt cannot be read"):
        class_colours.read(str(tmp_path / "none.txt"))


def test_names_may_have_several_words_and_quotes(tmp_path):
    file = tmp_path / "classes.csv"
    file.write_text('# a comment\nname, r, g, b\n"traffic light", 1, 2, 3\nroad 4 5 6\n\n')
    table = class_colours.read(str(file))
    assert table == (("traffic light", "road"), ((1, 2, 3), (4, 5, 6)))
