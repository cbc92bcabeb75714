"""Piano rolls: the bars that are drawn."""

import matplotlib.figure
import numpy as np

from nets.report.piano_roll import PianoRoll


def bars(figure):
    """Start, end, lowest and highest of every bar."""
    axes = matplotlib.figure.Figure().add_subplot()
    figure.plot(axes)
    boxes = [path.get_extents() for c in axes.collections for path in c.get_paths()]
    return sorted((b.x0, b.x1, round(b.y0, 3), round(b.y1, 3)) for b in boxes), axes


def test_each_note_is_a_bar_as_long_as_it_sounds():
    roll = np.zeros((10, 88), np.uint8)
    roll[2:5, 39] = roll[7, 39] = roll[0:10, 51] = 1  # middle C and the one above
    drawn, axes = bars(PianoRoll("Two", roll, given=4))
    middle, above = (59.6, 60.4), (71.6, 72.4)
    assert drawn == sorted([
        (2, 4, *middle), (4, 5, *middle), (7, 8, *middle), (0, 4, *above), (4, 10, *above)
    ])  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == ["C4", "C5"]


def test_silence_is_drawn_too(tmp_path):
    silence = PianoRoll("Silence", np.zeros((6, 88)))
    assert bars(silence)[0] == []
    assert silence.write(tmp_path, "silence").stat().st_size > 1000
