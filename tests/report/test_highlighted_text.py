"""Text in colours, as a picture and as HTML."""

import html
import re

import matplotlib
import numpy as np

from nets.report.figures import saved
from nets.report.highlighted_text import HighlightedText
from tests.support.pictures import pixels

SOURCE = 'def f(x):\n\treturn "<b>" & x  # $a$ and $b$\n' + "z" * 200


def coloured(signal):
    return HighlightedText("Cells <1>", SOURCE, np.asarray(signal)[None], ("unit 1 & 2",))


def test_coloured_text_fills_its_cells(tmp_path, figures):
    signal = np.zeros(len(SOURCE))
    signal[0], signal[1], signal[2] = 1, -1, -7
    signal[SOURCE.index("return")] = 1
    coloured(signal).write(tmp_path, "x")
    seen = {tuple(c) for c in pixels(tmp_path / "x.png").reshape(-1, 3)}
    assert (0xE6, 0x9F, 0x00) in seen and (0x56, 0xB4, 0xE9) in seen
    (axes,) = figures[0].axes
    canvas = axes.images[0].get_array()
    texts = axes.texts
    first = next(i for i, t in enumerate(texts) if t.get_text().startswith("def f"))
    np.testing.assert_allclose(canvas[first, 0], np.array([0xE6, 0x9F, 0x00]) / 255)
    np.testing.assert_allclose(canvas[first, 1], np.array([0x56, 0xB4, 0xE9]) / 255)
    np.testing.assert_allclose(canvas[first, 2], canvas[first, 1])  # beyond -1 is -1
    assert (canvas[first, 3:] == 1).all()
    np.testing.assert_array_equal(canvas[first + 1, 1], canvas[first, 0])  # after a tab
    assert "".join(t.get_text() for t in texts[first:]) == SOURCE.replace("\n", "↵").replace(
        "\t", "→"
    )
    assert min(t.get_fontsize() for t in texts) >= 9


def test_coloured_letters_stand_in_their_cells(tmp_path, figures):
    coloured(np.ones(len(SOURCE))).write(tmp_path, "x")
    (axes,) = figures[0].axes
    with saved(tmp_path / "y.png"):
        figures[0].set_dpi(110)
        cell = axes.get_window_extent().width / 80
        for text in axes.texts:
            if text.get_text() and text.get_weight() == "normal":
                right = text.get_window_extent().x1 - axes.get_window_extent().x0
                assert abs(right - len(text.get_text()) * cell) < cell / 2, text


def test_letters_that_the_font_lacks_are_no_warning(tmp_path):
    view = HighlightedText("漢字", "漢字\x00", np.zeros((1, 3)), ("漢",))
    view.write(tmp_path, "x")
    assert matplotlib.rcParams["text.parse_math"]  # settings are put back


def test_coloured_html_holds_the_text_and_its_colours():
    signal = np.linspace(0, 1, len(SOURCE))
    signal[:2] = 1, -1
    page = coloured(signal).to_html()
    assert "Cells &lt;1&gt;" in page and "unit 1 &amp; 2" in page and '<b>"' not in page
    body = re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)[1]
    spans = re.findall(r'<span style="background:(#[0-9a-f]{6})">(.*?)</span>', body, re.DOTALL)
    assert "".join(f'<span style="background:{c}">{t}</span>' for c, t in spans) == body
    assert html.unescape("".join(t for _, t in spans)) == SOURCE.replace("\n", "↵\n")
    assert spans[0] == ("#e69f00", "d") and spans[1] == ("#56b4e9", "e")


def test_shares_have_a_scale_from_zero_and_lines_end_unseen(tmp_path, figures):
    text, shares = "a bad\nfilm \n", np.zeros(12)
    shares[2:5] = 1
    view = HighlightedText(
        "t", text, shares[None], ("c",), label="share", signed=False, line_ends=False
    )
    view.write(tmp_path, "x")
    texts = [t.get_text() for t in figures[0].axes[0].texts]
    assert texts[1].split() == ["share:", "0", "1"] and texts[-2:] == ["a bad", "film "]
    canvas = figures[0].axes[0].images[0].get_array()
    orange = np.array([0xE6, 0x9F, 0x00]) / 255
    np.testing.assert_allclose(canvas[-2, 2:5], np.tile(orange, (3, 1)))
    legend = canvas[1][(canvas[1] < 1).any(-1)]
    assert len(legend) == 20 and (legend[:, 0] >= legend[:, 2]).all()  # no blue
    np.testing.assert_allclose(legend[-1], orange)
    page = view.to_html()
    assert "↵" not in page and "share: 0 <span" in page and "</span> 1</pre>" in page
