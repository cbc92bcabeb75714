"""RoI align and pooling against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import roi
from nets.layers.roi import pyramid_align, pyramid_level, roi_align, roi_pool
from tests.support import plain_boxes

H, W = 9, 11
BOXES = np.array(
    [[2, 3, 40, 30], [-9, -5, 12, 60], [30, 30, 31, 30.5], [0, 0, 44, 36], [60, 2, 80, 20]],
    np.float32,
)  # in pixels, a quarter of which are positions; the last is outside


def neighbours(y, x):
    """The positions around a sample with their bilinear weights; none if it is outside."""
    if not (-1 <= y <= H and -1 <= x <= W):
        return []
    y, x = min(max(y, 0), H - 1), min(max(x, 0), W - 1)
    i, j = min(int(y), H - 2), min(int(x), W - 2)
    v, u = y - i, x - j
    return [(i, j, (1 - v) * (1 - u)), (i, j + 1, (1 - v) * u), (i + 1, j, v * (1 - u)),
            (i + 1, j + 1, v * u)]  # fmt: skip


def plain_terms(box, size, scale, samples, aligned):
    """Bin (i, j), position (row, column) and weight of each term of RoI align."""
    x0, y0, x1, y1 = box * scale - (0.5 if aligned else 0)
    height, width = y1 - y0, x1 - x0
    if not aligned:
        height, width = max(height, 1), max(width, 1)
    for i, j, a, c in np.ndindex(*size, samples, samples):
        y = y0 + (i + (a + 0.5) / samples) * height / size[0]
        x = x0 + (j + (c + 0.5) / samples) * width / size[1]
        for row, column, weight in neighbours(y, x):
            yield i, j, row, column, weight / samples**2


def plain_align(features, box, size, *options):
    out = np.zeros((*size, features.shape[-1]))
    for i, j, row, column, weight in plain_terms(box, size, *options):
        out[i, j] += weight * features[row, column]
    return out


def plain_align_gradient(gradients, size, *options):
    """That of the map [H, W, C], from those of the features of all boxes."""
    back = np.zeros((H, W, gradients.shape[-1]))
    for box, gradient in zip(BOXES, gradients, strict=True):
        for i, j, row, column, weight in plain_terms(box, size, *options):
            back[row, column] += weight * gradient[i, j]
    return back


def plain_pool_gradient(features, gradients, size, scale):
    """That of the map: each bin's goes to where its maximum is, of each channel."""
    back = np.zeros(features.shape)
    for box, gradient in zip(BOXES, gradients, strict=True):
        bins = plain_boxes.pool_cells(box, size, scale, features.shape[:2])
        for i, j, c in np.ndindex(gradient.shape):
            top, bottom, left, right = bins[i][j]
            window = features[top:bottom, left:right, c]
            if window.size:
                y, x = np.unravel_index(window.argmax(), window.shape)
                back[top + y, left + x, c] += gradient[i, j, c]
    return back


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(H, W, 3)).astype(np.float32)


@pytest.mark.parametrize("at_once", [10**6, 2 * 2 * 11 * 3, 1])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples"), [((2, 3), 2), ((3, 2), 1), ((1, 1), 3)])
def test_align_is_that_of_a_plain_loop(features, aligned, size, samples, at_once, monkeypatch):
    """All regions at once, or some of the five at a time."""
    monkeypatch.setattr(roi, "_AT_ONCE", at_once)
    found = roi_align(features, BOXES, size, 0.25, samples, aligned)
    expected = [plain_align(features, box, size, 0.25, samples, aligned) for box in BOXES]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found[:4]).max((1, 2, 3)).min() > 0


@pytest.mark.parametrize("at_once", [10**6, 1])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples"), [((2, 3), 2), ((7, 7), 1)])
def test_the_gradient_of_align_is_that_of_a_plain_loop(
    features, aligned, size, samples, at_once, monkeypatch
):
    monkeypatch.setattr(roi, "_AT_ONCE", at_once)
    gradients = np.random.default_rng(1).normal(size=(5, *size, 3)).astype(np.float32)

    @jax.jit
    def back(gradients):
        _, vjp = jax.vjp(lambda x: roi_align(x, BOXES, size, 0.25, samples, aligned), features)
        return vjp(gradients)[0]

    expected = plain_align_gradient(gradients, size, 0.25, samples, aligned)
    np.testing.assert_allclose(back(gradients), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(2, 3), (4, 4), (1, 1)])
def test_pooling_is_that_of_a_plain_loop(features, size):
    found = roi_pool(features, BOXES, size, 0.25)
    np.testing.assert_array_equal(
        found, [plain_boxes.roi_pool(features, b, size, 0.25) for b in BOXES]
    )


@pytest.mark.parametrize("bins", [3, 7])
def test_the_bins_of_pooling_are_exact_for_sides_of_all_lengths(bins):
    """Their edges are quotients of integers, which a rounded inverse of the bins would miss."""
    lengths = np.arange(1, 36)
    boxes = np.stack([lengths % 5, lengths % 3, lengths % 5 + lengths - 1, lengths % 3 + 6], -1)
    features = np.random.default_rng(3).permutation(12 * 40).reshape(12, 40, 1).astype(np.float32)
    expected = [plain_boxes.roi_pool(features, box, (bins, bins), 1.0) for box in boxes]
    pool = jax.jit(lambda boxes: roi_pool(features, boxes, (bins, bins)))
    np.testing.assert_array_equal(pool(boxes.astype(np.float32)), expected)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7)])
def test_the_gradient_of_pooling_is_that_of_a_plain_loop(features, size):
    gradients = np.random.default_rng(1).normal(size=(5, *size, 3)).astype(np.float32)

    @jax.jit
    def back(gradients):
        return jax.vjp(lambda x: roi_pool(x, BOXES, size, 0.25), features)[1](gradients)[0]

    expected = plain_pool_gradient(features, gradients, size, 0.25)
    np.testing.assert_allclose(back(gradients), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(2, 3), (7, 7)])
def test_align_of_a_pyramid_is_align_of_the_map_of_each_box(features, size):
    coarse = np.random.default_rng(1).normal(size=(5, 6, 3)).astype(np.float32)
    maps, scales, level = [features, coarse], [0.25, 0.125], np.array([0, 1, 0, 1, 0])

    def whole(maps):
        return pyramid_align(maps, BOXES, level, size, scales)

    def one_by_one(maps):
        return jnp.stack(
            [
                roi_align(maps[k], box[None], size, scales[k])[0]
                for k, box in zip(level, BOXES, strict=True)
            ]
        )

    np.testing.assert_allclose(jax.jit(whole)(maps), jax.jit(one_by_one)(maps), atol=1e-5)
    weights = np.random.default_rng(2).normal(size=(5, *size, 3))
    grads = [
        jax.jit(jax.grad(lambda m, f=f: (f(m) * weights).sum()))(maps) for f in (whole, one_by_one)
    ]
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_map_of_a_box_doubles_with_its_side():
    sides = np.array([10.0, 111, 112, 223, 224, 447, 448, 4000])
    boxes = jnp.stack([jnp.zeros(8), jnp.zeros(8), sides, sides], -1)
    assert pyramid_level(boxes, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_pooling_hides_no_infinity():
    features = jnp.zeros((4, 4, 1)).at[1, 1].set(jnp.nan).at[2, 2].set(jnp.inf)
    pooled = roi_pool(features, jnp.array([[0.0, 0, 3, 3]]), (2, 2))[0, ..., 0]
    assert np.isnan(pooled[0, 0]) and np.isinf(pooled[1, 1])
    assert pooled[0, 1] == pooled[1, 0] == 0


def test_features_of_half_precision_are_summed_in_float32(features):
    """Each result is the nearest bfloat16 of the sum in float32."""
    maps = jnp.asarray(features, jnp.bfloat16)
    whole = maps.astype(jnp.float32)
    level, options = np.zeros(5, int), {"size": (2, 3), "samples": 7}
    pairs = (
        (
            roi_align(maps, BOXES, scale=0.25, **options),
            roi_align(whole, BOXES, scale=0.25, **options),
        ),
        (
            pyramid_align([maps], BOXES, level, scales=[0.25], **options),
            pyramid_align([whole], BOXES, level, scales=[0.25], **options),
        ),
        (roi_pool(maps, BOXES, (2, 3), 0.25), roi_pool(whole, BOXES, (2, 3), 0.25)),
    )
    for half, single in pairs:
        assert half.dtype == jnp.bfloat16 and single.dtype == jnp.float32
        np.testing.assert_array_equal(half, single.astype(jnp.bfloat16))
