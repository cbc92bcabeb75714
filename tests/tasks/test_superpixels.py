"""Superpixels: one class in each, that of most of its pixels; scores of a whole split."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from sklearn.metrics import balanced_accuracy_score, jaccard_score

from nets.errors import UserError
from nets.tasks import metrics
from nets.tasks.segment import Segment
from nets.tasks.superpixels import Felzenszwalb, majority
from nets.tasks.task import Trained

pytest.importorskip("skimage")


def test_the_majority_is_that_of_a_plain_loop():
    rng = np.random.default_rng(0)
    segments, prediction = rng.integers(0, 9, (13, 17)), rng.integers(0, 4, (13, 17))
    expected = np.empty_like(prediction)
    for s in range(9):
        own = prediction[segments == s].tolist()
        expected[segments == s] = min(set(own), key=lambda k: (-own.count(k), k))
    np.testing.assert_array_equal(majority(prediction, segments), expected)
    small = majority(prediction.astype(np.int16), segments)
    np.testing.assert_array_equal(small, expected)


def pictures(noise):
    """Two areas of unlike grey, the truth, and predictions with errors at some pixels."""
    rng = np.random.default_rng(noise)
    targets = np.zeros((2, 24, 30), int)
    targets[0, :, 12:], targets[1, 9:] = 1, 1
    predictions = np.where(rng.random(targets.shape) < 0.2, 1 - targets, targets)
    return targets, predictions, targets * 0.6 + 0.2 + 0.01 * rng.random(targets.shape)


def test_superpixels_are_the_areas_of_one_grey():
    targets, predictions, shades = pictures(0)
    superpixels = Felzenszwalb(min_size=200)  # smoothed edges are none of their own
    metadata = {"pixel_scale": [2 / 255], "pixel_offset": [-1.0]}
    for target, prediction, shade in zip(targets, predictions, shades, strict=True):
        found = superpixels.segments(shade[..., None])
        assert len(np.unique(found)) == 2 and len(np.unique(found[target == 1])) == 1
        image = 2 * shade[..., None] - 1  # as a network reads it
        smoothed = superpixels.smoothed(image, prediction, metadata)
        assert (prediction != target).any()
        np.testing.assert_array_equal(smoothed, target)


class Given(nn.Module):
    """Predicts what the second channel of the image says."""

    @nn.compact
    def __call__(self, x, *, train):
        right = x[..., 1:2] * self.param("w", nn.initializers.ones, ())
        return jnp.concatenate([0.5 - right, right - 0.5], -1)


def test_scores_by_superpixels_are_those_of_the_smoothed_prediction():
    targets, predictions, shades = pictures(1)
    truth = targets.copy()
    truth[0, :5, :5], truth[1, 3, 4] = 1, -1  # an error that superpixels cannot repair, and void
    inputs = np.stack([shades, predictions, shades], -1).astype(np.float32)
    batch = {
        "inputs": jnp.asarray(np.concatenate([inputs, inputs[:1] * 0])),  # the last fills up
        "targets": jnp.asarray(np.concatenate([truth, truth[:1]]), jnp.int32),
        "mask": jnp.array([1.0, 1.0, 0.0]),
    }
    metadata = {"num_classes": 2, "class_names": ["a", "b"], "class_colours": [[0] * 3, [9] * 3]}
    metadata |= {"pixel_scale": [1 / 255] * 3, "pixel_offset": [0.0] * 3}
    task, model = Segment(superpixels=Felzenszwalb(min_size=200)), Given()
    params, state = task.init(model, jax.random.key(0), batch)
    key = jax.random.key(0)
    plain, totals = (
        metrics.add({}, task.test(model, params, state, batch, key, final)[1])
        for final in (False, True)
    )
    assert not any("superpixel" in name for name in task.finish(plain, metadata, None))
    values = task.finish(totals, metadata, None)
    real = truth >= 0
    assert values["superpixel_accuracy"] == pytest.approx((truth == targets)[real].mean())
    assert values["superpixel_accuracy"] > values["accuracy"] + 0.1
    assert values["superpixel_class_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth[real], targets[real])
    )
    each = jaccard_score(truth[real], targets[real], average=None)
    assert values["superpixel_mean_iou"] == pytest.approx(each.mean())
    trained = Trained(model, params, state, metadata, None, None, key)
    grid = task.figures(trained, [batch], totals, final=True)["segmentations"]
    assert list(grid.masks) == ["truth", "prediction", "by superpixel"]
    np.testing.assert_array_equal(grid.masks["by superpixel"], targets)


def test_without_scikit_image_it_is_refused_before_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    batch = {"inputs": jnp.zeros((1, 4, 4, 2)), "targets": jnp.zeros((1, 4, 4), jnp.int32)}
    with pytest.raises(UserError, match=r"superpixels needs scikit-image: .*\[segmentation\]"):
        Segment(superpixels=Felzenszwalb()).init(Given(), jax.random.key(0), batch)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": 0.0}, "scale must be above 0, got 0"),
        ({"sigma": -1.0}, "sigma must be at least 0, got -1"),
        ({"min_size": 0}, "min_size must be at least 1, got 0"),
    ],
)
def test_impossible_superpixels_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        Felzenszwalb(**fields)
