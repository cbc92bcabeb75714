"""Textons against plain loops, and on stripes that their filters were made for."""

import dataclasses

import numpy as np
import pytest

from nets.demos.textons import Textons, gabor_bank, responses
from nets.errors import UserError
from nets.layers.filters import gabor


@pytest.mark.parametrize("window", [4, 5])
def test_responses_are_sums_over_windows(window):
    bank = gabor_bank(window, (3.0, 5.0), 2)
    images = np.random.default_rng(0).random((2, 6, 7))
    got, padded = responses(images, bank), np.pad(images, ((0, 0), (4, 4), (4, 4)))
    assert got.shape == (2, 6, 7, 8)
    start = 4 - (window - 1) // 2
    for n, row, column, f in np.ndindex(got.shape):
        rows, columns = (slice(start + i, start + i + window) for i in (row, column))
        np.testing.assert_allclose(
            got[n, row, column, f], np.sum(padded[n, rows, columns] * bank[f])
        )
    pairs = [gabor(window, w, angle) for w in (3.0, 5.0) for angle in (0, np.pi / 2)]
    np.testing.assert_array_equal(bank, [pair[i] for i in (0, 1) for pair in pairs])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Left half stripes along the columns or the rows, right half black, brightness at random."""
    rng = np.random.default_rng(0)
    stripes = np.tile([[1.0, 1, 0, 0]], (12, 3))
    labels = np.arange(80) % 2
    images = np.stack([stripes.T if label else stripes for label in labels])
    images = np.pad(images, ((0, 0), (0, 0), (0, 12))) * rng.integers(200, 250, (80, 1, 1))
    path = tmp_path_factory.mktemp("stripes") / "stripes.npz"
    images = images.astype(np.uint8)
    arrays = {"x_train": images[:60], "y_train": labels[:60]}
    np.savez(path, **arrays, x_test=images[60:], y_test=labels[60:])
    return Textons(
        path=str(path), wavelengths=(4.0,), orientations=2, textons=6, cell=6, batch_size=30,
        eval_batch_size=15, validation=0.2,
    )  # fmt: skip


def test_an_image_is_the_shares_of_textons_in_each_cell(data):
    assert {k: (v.shape, v.dtype) for k, v in data.train(0)[0].items()} == data.spec().arrays
    for split, rows in (("train", 48), ("validation", 12), ("test", 20)):
        batches = list(data.evaluate(split))
        features, labels, mask = (
            np.concatenate([b[k] for b in batches]) for k in ("inputs", "targets", "mask")
        )
        assert mask.sum() == rows
        cells = features.reshape(-1, 2, 4, 6)  # [image, row, column, texton]
        np.testing.assert_allclose(cells.sum(-1), 1, atol=1e-6)
        (black,) = {*cells[:, :, 3].argmax(-1).ravel()}  # the right of every image
        assert (cells[:, :, 3, black] > 0.9).all() and (cells[:, :, 0, black] < 0.6).all()
        left = np.delete(cells[:, :, :2], black, -1)
        means = [left[labels == k].mean((0, 1, 2)) for k in (0, 1)]
        assert np.minimum(*means).sum() < 0.1 * min(map(np.sum, means))


def test_what_cannot_be_is_refused(data):
    with pytest.raises(UserError, match="cell must be at most 12, got 13"):
        dataclasses.replace(data, cell=13).train(0)
    with pytest.raises(UserError, match="textons must be at least 1, got 0"):
        Textons(textons=0)
    with pytest.raises(UserError, match=r"wavelengths must be above 0, got \(4.0, 0.0\)"):
        Textons(wavelengths=(4.0, 0.0))
    with pytest.raises(UserError, match="grey images, and these have channels=3"):
        data.size((12, 24, 3))
