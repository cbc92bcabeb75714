"""Words in red, and behind those that they attend to the blue of their weight."""

import numpy as np

from nets.report.attended_words import AttendedWords, Sentence
from tests.support.pictures import pixels


def test_words_stand_on_the_blue_of_their_weight(tmp_path, figures):
    weights = np.array([[0.0, 0, 0], [0.8, 0, 0], [0.4, 0, 0]])
    other = Sentence(("a",), np.zeros((1, 1)))
    figure = AttendedWords("Title", (Sentence(("the", "cat", "sat"), weights), other))
    figure.write(tmp_path, "x")
    (axes,) = figures[0].axes
    canvas = np.asarray(axes.images[0].get_array())
    blue, red = np.array([0x56, 0xB4, 0xE9]) / 255, "#D55E00"
    texts = [
        (t.get_text(), round(t.get_position()[0] + 0.5), round(t.get_position()[1]), t.get_color())
        for t in axes.texts
    ]
    assert texts == [
        ("Title", 0, 0, "black"),
        ("weight: white 0, darkest 0.8", 72, 1, "dimgray"),
        ("the", 0, 2, red),
        ("the", 0, 3, "black"), ("cat", 4, 3, red),
        ("the", 0, 4, "black"), ("cat", 4, 4, "black"), ("sat", 8, 4, red),
        ("weight: white 0, darkest 0", 74, 5, "dimgray"),
        ("a", 0, 6, red),
    ]  # fmt: skip
    np.testing.assert_allclose(canvas[3, :3], np.tile(blue, (3, 1)))
    np.testing.assert_allclose(canvas[4, :3], np.tile((1 + blue) / 2, (3, 1)))
    rest = canvas.copy()
    rest[3:5, :3] = 1
    assert (rest == 1).all()
    seen = {tuple(c) for c in pixels(tmp_path / "x.png").reshape(-1, 3)}
    assert (0x56, 0xB4, 0xE9) in seen
    assert min(t.get_fontsize() for t in axes.texts) >= 9
