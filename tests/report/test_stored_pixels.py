"""Images that a network read are shown as they are stored, whatever their normalisation."""

import numpy as np
import pytest

from nets.data.images import Images
from nets.data.pixels import Pixels
from nets.demos.shared_weights import ShiftedImages
from nets.report.figures import stored_pixels
from nets.tasks.sequence_figures import generated, pictures


@pytest.fixture
def coloured(tmp_path):
    """A set whose channels have other means and deviations, and its test images."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (60, 4, 5, 3)) * np.array([1.0, 0.5, 0.1]) + [0, 90, 200]
    images, labels = levels.clip(0, 255).astype(np.uint8), np.arange(60) % 3
    path = tmp_path / "set.npz"
    np.savez(path, x_train=images[:50], y_train=labels[:50], x_test=images[50:], y_test=labels[50:])
    return str(path), images[50:]


@pytest.mark.parametrize("normalise", ["standard", "unit", "signed", "lecun"])
def test_pixels_are_those_of_the_file_channel_by_channel(normalise, coloured):
    path, images = coloured
    data = Images(path=path, normalise=normalise, batch_size=8, eval_batch_size=10)
    shown, units = stored_pixels(data.evaluate("test")[0]["inputs"], data.metadata())
    np.testing.assert_allclose(shown, images, atol=0.01)
    assert units == {"limits": (0, 255), "unit": "pixel"}


@pytest.mark.parametrize("by", ["pixel", "row"])
def test_pixels_of_sequences_in_another_order_are_those_of_the_file(by, coloured):
    path, images = coloured
    data = Pixels(path=path, by=by, permuted=True, normalise="standard", eval_batch_size=10)
    metadata, batch = data.metadata(), data.evaluate("test")[0]
    shown, _ = stored_pixels(pictures(batch["inputs"], metadata), metadata)
    np.testing.assert_allclose(shown, images, atol=0.01)


def test_pixels_on_a_canvas_are_framed_by_black():
    data = ShiftedImages(margin=2)
    image = data.evaluate("test")[0]["inputs"][:1]
    shown, _ = stored_pixels(image, data.metadata())
    assert shown.shape == (1, 12, 12, 1) and not shown[:, :2].any()
    digit = Images(normalise="unit").evaluate("test")[0]["inputs"][0]
    np.testing.assert_allclose(shown[0, 2:10, 2:10], 255 * digit, rtol=1e-5)


def test_data_that_does_not_tell_its_normalisation_keeps_its_values():
    image = np.array([[[[-0.5], [2.0]]]])
    shown, units = stored_pixels(image, {"num_classes": 3})
    assert shown is image and units == {"limits": (-0.5, 2.0), "unit": "network input"}


def test_generated_images_stand_beside_the_mean_in_the_same_pixels():
    metadata = {"class_names": ["a", "b"], "order": None, "shape": [1, 2, 1]}
    metadata |= {"pixel_scale": [0.5], "pixel_offset": [-1.0]}
    rows = {
        "inputs": np.array([0, 1, 1]),
        "targets": np.array([[[9.0], [19]], [[1], [3]], [[5], [7]]]),
    }
    view = generated(rows, np.array([[[4.0], [0]], [[6], [1]], [[0], [0]]]), metadata)["generated"]
    assert view.images[:, 0, :, 0].tolist() == [[10, 2, 255, 20, 40], [14, 4, 255, 8, 12]]
    assert view.limits == (0, 255) and view.unit == "pixel"
