"""The bank of filters against a plain loop; projections of features onto the plane."""

import jax
import numpy as np
import pytest

from nets.data.images import Images
from nets.demos.image_features import ClassifyFeatures, FilterBank, components
from nets.errors import UserError
from nets.layers.filters import gabor
from nets.mlp import MLP
from nets.tasks import metrics
from nets.tasks.task import Trained
from tests.support.checks import jit

IMAGES = np.random.default_rng(0).random((2, 8, 12, 1)).astype(np.float32)
BANK = FilterBank(window=5, wavelengths=(3.0, 6.0), orientations=3, cell=4, num_classes=4)


def initial(model, x=IMAGES, seed=0):
    return jit(lambda key: model.init(key, x, train=False))(jax.random.key(seed))


def test_features_are_mean_energies_of_gabor_pairs():
    variables = initial(BANK)
    apply = jit(lambda v: BANK.apply(v, IMAGES, train=False, stages=True))
    logits, stages = apply(variables)
    features = np.asarray(stages["features"]).reshape(2, 2, 3, 6)  # of 2 by 3 cells
    padded = np.pad(IMAGES[0, ..., 0], 2)
    for i in range(6):
        pair = gabor(5, (3.0, 6.0)[i // 3], i % 3 * np.pi / 3)
        outputs = [
            [[np.sum(padded[r : r + 5, c : c + 5] * f) for c in range(12)] for r in range(8)]
            for f in pair
        ]
        energy = np.hypot(*np.array(outputs))
        for row, column in np.ndindex(2, 3):
            cell = energy[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            np.testing.assert_allclose(features[0, row, column, i], cell.mean(), rtol=1e-4)
    fc = variables["params"]["fc"]
    want = np.asarray(stages["features"]) @ np.asarray(fc["kernel"]) + np.asarray(fc["bias"])
    np.testing.assert_allclose(logits, want, atol=1e-5)


def test_random_filters_are_drawn_and_have_gradients_on_black():
    model = FilterBank(filters="random", num_classes=4)
    one, two = (initial(model, seed=i)["params"]["filters"]["kernel"] for i in (0, 1))
    assert one.shape == (7, 7, 1, 32) and np.abs(one - two).min() > 0
    x = 0 * IMAGES
    gradient = jit(jax.grad(lambda v: model.apply(v, x, train=True).sum()))(initial(model))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_colour_is_refused():
    with pytest.raises(UserError, match=r"takes images \[B, H, W, 1\], got \[2, 8, 12, 3\]"):
        initial(BANK, np.repeat(IMAGES, 3, -1))


def test_impossible_values_are_refused():
    with pytest.raises(UserError, match="filters must be one of gabor, random, got sobel"):
        initial(FilterBank(filters="sobel", num_classes=4))
    with pytest.raises(UserError, match="points must be at least 1, got 0"):
        ClassifyFeatures(points=0)


def test_components_are_the_widest_plane():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    coordinates = rng.normal(size=(40, 6)) * [0.1, 5, 0.1, 0.1, 2, 0.1]
    coordinates -= coordinates.mean(0)
    found = components(coordinates @ axes.T + 7)
    for ours, wide in zip(found.T, coordinates[:, [1, 4]].T, strict=True):
        assert abs(np.corrcoef(ours, wide)[0, 1]) > 0.99


def figures(model, data, metadata, params):
    batches, task = list(data.evaluate("test")), ClassifyFeatures(points=50)
    sums, test = {}, jit(lambda batch: task.test(model, params, {}, batch, None, final=True)[1])
    for batch in batches:
        sums = metrics.add(sums, test(batch))
    trained = Trained(model, params, {}, metadata, None, None, None)
    assert task.figures(trained, batches, sums, final=False) == {}
    return task.figures(trained, batches, sums, final=True), batches


def test_the_plane_is_that_of_the_banks_features():
    model = FilterBank(num_classes=10)
    data = Images(name="digits", image_size=16, eval_batch_size=180)
    params = initial(model, np.zeros((1, 16, 16, 1), np.float32))["params"]
    drawn, batches = figures(model, data, data.metadata(), params)
    plot = drawn["projection"]
    variables = {"params": params}
    x = batches[0]["inputs"][:50]
    features = jit(lambda v: model.apply(v, x, train=False, stages=True)[1]["features"])(variables)
    np.testing.assert_allclose(plot.points, components(np.asarray(features, float)), atol=1e-3)
    np.testing.assert_array_equal(plot.classes, batches[0]["targets"][:50])
    assert "directions" not in drawn and "filters" in drawn


def test_the_plane_of_a_projection_is_that_of_its_first_directions():
    model = MLP(widths=(), num_classes=10)
    data = Images(name="digits", eval_batch_size=180)
    directions = np.random.default_rng(0).normal(size=(3, 8, 8, 1))
    params = initial(model, np.zeros((1, 64), np.float32))["params"]
    metadata = data.metadata() | {"directions": directions.tolist()}
    drawn, batches = figures(model, data, metadata, params)
    np.testing.assert_array_equal(
        drawn["projection"].points, batches[0]["inputs"][:50].reshape(50, 64)[:, :2]
    )
    np.testing.assert_array_equal(drawn["directions"].images, directions)
