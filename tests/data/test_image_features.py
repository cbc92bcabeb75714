"""Projections of images, against NumPy's decompositions; labels stay with their features."""

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nets.data.image_features import Projection
from nets.data.images import Images
from nets.errors import UserError


def of(data, split):
    batches = list(data.evaluate(split))
    whole = {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}
    return {k: v[whole["mask"] > 0] for k, v in whole.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The digits, 400 for training, of which 100 are held out, and 200 for the test."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) * 15).astype(np.uint8)
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    arrays = {"x_train": images[:400], "x_test": images[400:600]}
    np.savez(path, **arrays, y_train=labels[:400], y_test=labels[400:600])
    return Projection(path=str(path), validation=0.25, batch_size=300, eval_batch_size=80)


@pytest.fixture(scope="module")
def pixels(data):
    """All training images [N, 64] in 0 to 1 and their labels, in their order."""
    batch = of(Images(path=data.path, normalise="unit", validation=0.25), "train")
    assert len(batch["targets"]) == 300
    return batch["inputs"].reshape(-1, 64).astype(float), batch["targets"]


def test_principal_components_are_those_of_the_covariance(data, pixels):
    data = dataclasses.replace(data, components=5)
    values, vectors = np.linalg.eigh(np.cov(pixels[0].T))
    values, vectors = values[::-1][:5], vectors[:, ::-1][:, :5]
    directions = np.array(data.metadata()["directions"])
    assert directions.shape == (5, 8, 8, 1)
    overlap = directions.reshape(5, 64) @ vectors
    np.testing.assert_allclose(np.abs(overlap), np.eye(5), atol=2e-3)  # four digits are told
    test = of(data, "test")
    centred = test["image"].reshape(-1, 64) - pixels[0].mean(0)
    want = centred @ vectors / np.sqrt(values) * np.sign(np.diag(overlap))
    np.testing.assert_allclose(test["inputs"], want, rtol=1e-3, atol=1e-3)


def test_discriminants_separate_classes_as_no_other_direction_does(data, pixels):
    images, labels = pixels
    data = dataclasses.replace(data, method="lda", components=9)
    means = np.stack([images[labels == k].mean(0) for k in range(10)])
    within = images - means[labels]

    def ratio(direction):
        """Variance between classes over that within."""
        return np.var(means[labels] @ direction) / np.var(within @ direction)

    first, *others = np.array(data.metadata()["directions"]).reshape(-1, 64)
    best, rng = ratio(first), np.random.default_rng(0)
    assert best > max(map(ratio, others)) and best > 3
    assert all(ratio(direction) < best / 2 for direction in rng.normal(size=(50, 64)))
    features = of(data, "train")["inputs"]
    spread = np.stack([features[labels == k].var(0) for k in range(10)]).mean(0)
    np.testing.assert_allclose(spread, 1, atol=0.25)  # of the covariance that is not shrunk


def test_labels_stay_with_their_features(data):
    train, test = data.train(3)[0], of(data, "train")
    order = [np.lexsort(batch["inputs"].T) for batch in (train, test)]
    for key in ("inputs", "targets"):
        a, b = (batch[key][o] for batch, o in zip((train, test), order, strict=True))
        np.testing.assert_array_equal(a, b)
    plain = of(Images(path=data.path, validation=0.25), "validation")
    np.testing.assert_array_equal(of(data, "validation")["targets"], plain["targets"])


def test_the_spec_is_that_of_the_batches(data):
    data = dataclasses.replace(data, components=3, batch_size=4)
    assert {k: (v.shape, v.dtype) for k, v in data.train(0)[0].items()} == data.spec().arrays
    assert data.train(0)[0]["inputs"].shape == (4, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"components": 0}, "components must be at least 1, got 0"),
        ({"method": "ica"}, "method must be one of pca, lda, got ica"),
        ({"components": 65}, "components must be at most 64, the pixels of an image, got 65"),
        (
            {"method": "lda", "components": 10},
            "components must be at most 9, one fewer than the 10 classes, got 10",
        ),
    ],
)
def test_impossible_projections_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        Projection(**wrong).spec()
