"""Images in a grid: their pixels, limits and unit."""

import numpy as np
import pytest

from nets.report.image_grid import ImageGrid
from tests.support.pictures import pixels


def test_images_are_drawn_pixel_by_pixel(tmp_path):
    image = np.array([[0.0, 1.0], [0.5, 0.25]])[None, :, :, None] * 7 - 3  # -3 is black, 4 white
    ImageGrid("", image, ("",)).write(tmp_path, "x")
    seen = pixels(tmp_path / "x.png").reshape(-1, 3)
    for value in (0, 63, 127, 255):  # a quarter of the square each, none between them
        assert 0.1 < (np.abs(seen.astype(int) - value).max(1) <= 1).mean()


@pytest.mark.parametrize(
    ("limits", "unit", "shades", "said"),
    [
        (None, None, (0, 255), []),
        (None, "height", (0, 255), ["height: black -1, white 3"]),
        ((-5.0, 5.0), "weight", (102, 204), ["weight: black -5, grey 0, white 5"]),
        ((-1.0, 1.0), "pixel", (0, 255), ["pixel: black -1, grey 0, white 1"]),  # 3 is beyond
    ],
)
def test_limits_are_black_and_white_and_a_unit_is_written(
    limits, unit, shades, said, tmp_path, figures, caplog
):
    """Of grey images and of images in colour, without a complaint of matplotlib's."""
    for channels in (1, 3):
        image = np.repeat(np.array([[-1.0, 3.0]])[None, :, :, None], channels, -1)
        ImageGrid("", image, (), limits=limits, unit=unit).write(tmp_path, "x")
        seen = pixels(tmp_path / "x.png").reshape(-1, 3).astype(int)
        for value in shades:  # half of the image each
            assert 0.1 < (np.abs(seen - value).max(1) <= 1).mean()
        assert [text.get_text() for text in figures[-1].axes[0].texts] == said
    assert not caplog.records
