"""Sounds of a report: WAV files as scipy reads them, players in the page, spectrograms."""

import base64
import re

import numpy as np
from scipy.io import wavfile

from nets.report import page
from nets.report.figures import saved
from nets.report.sound import Sound, SoundAndCurves, Spectrogram
from tests.support.pictures import pixels


def test_a_sound_is_a_wav_file_of_its_samples(tmp_path):
    samples = np.array([0.0, 0.5, -1.0, 1.0])
    path = Sound("a", samples, 8000).write(tmp_path, "a")
    rate, read = wavfile.read(path)
    assert path.name == "a.wav" and rate == 8000 and read.tolist() == [0, 16384, -32767, 32767]
    _, read = wavfile.read(Sound("b", 4 * samples, 8000).write(tmp_path, "b"))
    assert read.tolist() == [0, 16384, -32767, 32767]  # softer, not clipped
    _, read = wavfile.read(Sound("c", np.zeros(0), 8000).write(tmp_path, "c"))
    assert len(read) == 0


def test_the_page_plays_it(tmp_path):
    Sound("a", np.array([0.25, -0.25]), 8000).write(tmp_path, "before_noise")
    (section,) = page._pictures(tmp_path)
    assert section.startswith("<h2>Before noise</h2><audio controls")
    data = re.search('base64,([^"]+)', section)[1]
    assert base64.b64decode(data) == (tmp_path / "before_noise.wav").read_bytes()


def test_curves_share_the_time_of_the_spectrogram(tmp_path):
    drawn = Spectrogram("", np.ones((40, 20)), 2.0, 8000)
    curves = {"seven": np.array([0.0, 1.0, 0.0])}
    figure = SoundAndCurves("Both", drawn, np.array([0.5, 1.0, 1.5]), curves, "probability")
    assert pixels(figure.write(tmp_path, "a")).std() > 10
    with saved(tmp_path / "b.png") as canvas:
        figure.draw(canvas)
        above, below = canvas.axes
        assert above.get_xlim() == below.get_xlim() == (0, 2)
        assert below.lines[0].get_xydata().tolist() == [[0.5, 0], [1, 1], [1.5, 0]]


def test_a_spectrogram_is_light_where_there_is_power(tmp_path):
    power = np.full((40, 20), 1e-9)
    power[10:20, 5:10] = 1.0
    figure = Spectrogram("Power", power, 2.0, 8000, marks=((0.5, "7"),))
    assert pixels(figure.write(tmp_path, "a")).std() > 10
    with saved(tmp_path / "b.png") as canvas:
        figure.draw(canvas)
        image = canvas.axes[0].images[0]
        assert image.get_extent() == [0, 2.0, 0, 4.0]
        assert (image.get_array()[5:10, 10:20] == 0).all() and image.get_array().min() == -60
        assert [text.get_text() for text in canvas.axes[0].texts] == ["7"]
