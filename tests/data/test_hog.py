"""Histograms of oriented gradients: an edge by hand, scikit-image's figures in their places."""

import sys

import numpy as np
import pytest

from nets.data import hog
from nets.data.hog import HOG
from nets.data.images import Images
from nets.errors import UserError

pytest.importorskip("skimage")


def folder_of(images, tmp_path):
    """A set of these images for training, and of the first for the test."""
    labels = np.arange(len(images)) % 2
    path = tmp_path / "edges.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:1], y_test=labels[:1])
    return str(path)


def test_the_gradients_of_a_slope_fall_into_one_bin(tmp_path):
    """Of 9 bins of 20 degrees: the first for slopes along the columns, the fifth along the rows.

    A part of the images is held out: features and labels must be those of the same rows.
    """
    ramp = np.arange(8, dtype=np.uint8) * 10
    images = np.stack([np.tile(ramp, (8, 1)), np.tile(ramp[:, None], (1, 8))] * 6)
    path = folder_of(images, tmp_path)
    data = HOG(path=path, batch_size=9, eval_batch_size=3, validation=0.25)
    for batch in (data.train(0)[0], data.evaluate("validation")[0]):
        for features, label in zip(batch["inputs"], batch["targets"], strict=True):
            (bins,) = np.nonzero(features.reshape(4, 9).sum(0) > 1e-3)
            assert bins.tolist() == [4 * label]


def test_each_image_has_its_own_features():
    from skimage import feature

    data = HOG(cell=2, eval_batch_size=100)
    images = Images(name="digits", normalise="unit", eval_batch_size=100).evaluate("test")
    batch, plain = data.evaluate("test")[3], images[3]  # the last, which is padded
    for key, other in (("image", "inputs"), ("targets", "targets"), ("mask", "mask")):
        np.testing.assert_array_equal(batch[key], plain[other])
    assert batch["mask"].sum() == 60
    for row in (0, 59):
        want = feature.hog(plain["inputs"][row, ..., 0], 9, (2, 2), (2, 2))
        np.testing.assert_allclose(batch["inputs"][row], want, rtol=1e-4, atol=1e-6)


def test_training_features_go_with_their_labels():
    data, plain = HOG(cell=2, batch_size=32), Images(name="digits", batch_size=32)
    for seed in (0, 1):
        np.testing.assert_array_equal(
            data.train(seed)[7]["targets"], plain.train(seed)[7]["targets"]
        )
    whole = HOG(cell=2, batch_size=1257).train(0)
    one, two = whole[0], whole[1]  # two passes in two orders
    assert (one["targets"] != two["targets"]).any()
    order = [np.lexsort(batch["inputs"].T) for batch in (one, two)]
    for key in ("inputs", "targets"):
        np.testing.assert_array_equal(one[key][order[0]], two[key][order[1]])


def test_the_spec_is_that_of_the_batches():
    data = HOG(cell=2, block=3, orientations=5, batch_size=4)
    batch = data.train(0)[0]
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == data.spec().arrays
    assert batch["inputs"].shape == (4, 2 * 2 * 3 * 3 * 5)


def test_images_without_room_for_a_block_are_refused():
    with pytest.raises(UserError, match="at least 10 pixels a side, not 8x8"):
        HOG(cell=5).train(0)


def test_it_says_what_to_install(monkeypatch):
    hog.features.cache_clear()
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(UserError, match=r"scikit-image: run `pip install -e '\.\[hog\]'` in"):
        HOG().train(0)
