"""Images of one's own as a model reads them, and the way back to their pixels."""

import numpy as np
import pytest
from PIL import Image

from nets.data.captions import Captions
from nets.data.digit_scenes import DigitScenes
from nets.data.images import Images
from nets.data.pixels import Pixels
from nets.data.sequences import Adding
from nets.data.shapes import Shapes
from nets.errors import UserError
from tests.support.image_sets import arrays

DIGITS = Images(name="digits", image_size=20)
SCENES = DigitScenes(side=40, digit_size=(8, 20), eval_size=5)


def saved(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_an_image_of_the_set_is_read_as_in_an_evaluation(tmp_path):
    """Its pixels as stored, from a file; the crops of a recipe for ImageNet too."""
    stored = Images(name="digits")
    batch = stored.evaluate("test")[0]
    own = (batch["inputs"][7] * stored.metadata()["std"] + stored.metadata()["mean"]) * 255
    path = saved(tmp_path / "own.png", own.round().astype(np.uint8)[..., 0])
    for changes in ({}, {"image_size": 20}, {"image_size": 5, "eval_short_side": 6}):
        data = Images(name="digits", **changes)
        found, source = data.load_input(path, data.metadata())
        want = data.evaluate("test")[0]["inputs"][7:8]
        np.testing.assert_allclose(found["inputs"], want, atol=1e-6)
        assert found["inputs"].dtype == want.dtype and list(found) == ["inputs"]
        assert source["size"].tolist() == list(want.shape[1:3])


def test_a_scene_is_read_as_it_was_drawn(tmp_path):
    scene = DigitScenes(side=64, eval_size=5).evaluate("test")[0]["inputs"][0, ..., 0]
    path = saved(tmp_path / "scene.png", ((scene + 1) * 127.5).round().astype(np.uint8))
    data = DigitScenes(side=64, eval_size=5)
    found, source = data.load_input(path, data.metadata())
    np.testing.assert_allclose(found["inputs"][0, ..., 0], scene, atol=0.51 / 127.5)
    np.testing.assert_array_equal(source["matrix"], np.eye(3))


@pytest.mark.parametrize("by", ["pixel", "row"])
def test_steps_of_an_image_are_those_of_an_evaluation(by, tmp_path):
    plain = Images(name="digits", normalise="unit").evaluate("test")[0]["inputs"][3, ..., 0]
    path = saved(tmp_path / "own.png", (plain * 255).round().astype(np.uint8))
    data = Pixels(name="digits", by=by, permuted=True)
    found, source = data.load_input(path, data.metadata())
    np.testing.assert_allclose(found["inputs"], data.evaluate("test")[0]["inputs"][3:4], atol=1e-6)
    assert source["size"].tolist() == [8, 8]


def test_a_photograph_is_read_as_captioned_ones_are(tmp_path):
    """Three quarters of the shorter side: the middle 30 x 30 of 40 x 60 pixels, as 6 x 6."""
    path = saved(tmp_path / "a.png", np.zeros((40, 60, 3), np.uint8))
    found, source = Captions(image_size=6, short_side=8).load_input(path, {})
    assert found["inputs"].shape == (1, 6, 6, 3) and found["inputs"].dtype == np.uint8
    np.testing.assert_allclose(source["matrix"], [[0.2, 0, -3], [0, 0.2, -1], [0, 0, 1]])


@pytest.mark.parametrize(
    "data", [DIGITS, SCENES, Shapes(eval_size=5)], ids=["digits", "scenes", "shapes"]
)
@pytest.mark.parametrize("size", [(90, 90), (61, 200), (173, 80)])
def test_a_bright_spot_is_where_the_matrix_says(data, size, tmp_path):
    height, width = size
    row, column = height // 2 + 7, width // 2 - 9
    picture = np.zeros((height, width, 3), np.uint8)
    picture[row - 4 : row + 5, column - 4 : column + 5] = 255
    found, source = data.load_input(saved(tmp_path / "a.png", picture), data.metadata())
    batch = data.train(0)[0]["inputs"]
    assert found["inputs"].shape == (1, *batch.shape[1:]) and found["inputs"].dtype == batch.dtype
    assert source["image"].shape == (height, width, batch.shape[-1])
    x, y, one = source["matrix"] @ [column + 0.5, row + 0.5, 1]
    light = np.float64(found["inputs"][0].mean(-1))
    light -= light.min()
    centre = [(light.sum(k) * (np.arange(light.shape[1 - k]) + 0.5)).sum() for k in (0, 1)]
    np.testing.assert_allclose((x, y), np.array(centre) / light.sum(), atol=0.1)
    assert one == 1


def test_the_parts_by_hand(tmp_path):
    """200 x 100 pixels: the middle square of 100 as 20; all of it as 40 x 20, at the top."""
    path = saved(tmp_path / "a.png", np.full((100, 200), 255, np.uint8))
    _, source = DIGITS.load_input(path, DIGITS.metadata())
    np.testing.assert_allclose(source["matrix"], [[0.2, 0, -10], [0, 0.2, 0], [0, 0, 1]])
    found, source = SCENES.load_input(path, SCENES.metadata())
    np.testing.assert_allclose(source["matrix"], [[0.2, 0, 0], [0, 0.2, 0], [0, 0, 1]])
    np.testing.assert_array_equal(found["inputs"][0, :, 5, 0], [1] * 20 + [-1] * 20)


def test_images_that_are_not_square_keep_their_aspect_ratio(tmp_path):
    """Stored as 6 x 5: of 100 x 100 pixels the middle 83 1/3 columns."""
    np.savez(tmp_path / "a.npz", **arrays())
    data = Images(path=str(tmp_path / "a.npz"), normalise="unit")
    path = saved(tmp_path / "a.png", np.full((100, 100), 51, np.uint8))
    found, source = data.load_input(path, data.metadata())
    np.testing.assert_allclose(source["matrix"], [[0.06, 0, -0.5], [0, 0.06, 0], [0, 0, 1]])
    np.testing.assert_allclose(found["inputs"], np.full((1, 6, 5, 3), 0.2), rtol=1e-6)


def test_colours_become_grey_by_their_luminance(tmp_path):
    """ITU-R 601: 0.299 R + 0.587 G + 0.114 B."""
    picture = np.broadcast_to(np.array([200, 100, 50], np.uint8), (9, 9, 3))
    _, source = DIGITS.load_input(saved(tmp_path / "a.png", picture), DIGITS.metadata())
    np.testing.assert_allclose(source["image"], 0.299 * 200 + 58.7 + 5.7, atol=0.5)
    assert source["image"].shape == (9, 9, 1)


@pytest.mark.parametrize("kind", ["text", "16 bits", "folder", "absent"])
def test_what_is_no_image_is_refused_with_its_name(kind, tmp_path):
    path = tmp_path / "a.png"
    if kind == "text":
        path.write_text("no image")
    elif kind == "16 bits":
        Image.fromarray(np.zeros((4, 4), np.uint16)).save(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(UserError, match="a.png cannot be read as an image: "):
        DIGITS.load_input(path, DIGITS.metadata())


def test_data_that_reads_no_files_says_so(tmp_path):
    with pytest.raises(UserError, match="Adding reads no inputs from files, got .*a.png"):
        Adding().load_input(tmp_path / "a.png", {})
    assert Adding.input_suffixes == ()
