"""Boxes against plain loops and hand-worked numbers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import boxes as b
from tests.support import plain_boxes


def random_boxes(rng, n, side=100.0):
    corners = rng.uniform(0, side, (2, n, 2)).astype(np.float32)
    return np.concatenate([corners.min(0), corners.max(0) + 1], -1)


def test_overlaps_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    p, q = random_boxes(rng, 20), random_boxes(rng, 30)
    p[0] = [5, 5, 5, 9]  # no width
    p[1] = [9, 9, 5, 5]  # inverted
    expected = [[plain_boxes.iou(x, y) for y in q] for x in p]
    np.testing.assert_allclose(b.iou(p[:, None], q[None]), expected, atol=1e-6)


def test_the_generalised_overlap_of_boxes_apart():
    one, other = jnp.array([0.0, 0, 2, 2]), jnp.array([4.0, 0, 6, 2])
    assert b.giou(one, other) == pytest.approx(0 - (12 - 8) / 12)
    assert b.giou(one, one) == pytest.approx(1)
    towards = jax.grad(lambda x: b.giou(one + x * jnp.array([1.0, 0, 1, 0]), other))(0.0)
    assert towards > 0  # where the plain overlap has no gradient
    assert jax.grad(lambda x: b.iou(one + x, other))(0.0) == 0


def test_offsets_by_hand_and_back():
    anchor, box = jnp.array([0.0, 0, 10, 20]), jnp.array([2.0, 5, 22, 15])
    expected = [(12 - 5) / 10, 0.0, math.log(2), math.log(0.5)]
    np.testing.assert_allclose(b.encode(box, anchor), expected, atol=1e-6)
    scaled = b.encode(box, anchor, (0.1, 0.1, 0.2, 0.2))
    np.testing.assert_allclose(scaled, np.array(expected) / [0.1, 0.1, 0.2, 0.2], rtol=1e-6)
    np.testing.assert_allclose(b.decode(scaled, anchor, (0.1, 0.1, 0.2, 0.2)), box, atol=1e-4)
    wild = b.decode(jnp.array([0.0, 0, 500, 500]), anchor)
    np.testing.assert_allclose(b.to_centers(wild)[2:], np.array([10, 20]) * 62.5, rtol=1e-5)


def test_boxes_are_clipped_to_the_image():
    assert b.clip(jnp.array([-3.0, 4, 50, 99]), 30, 40).tolist() == [0, 4, 40, 30]


def test_anchors_stand_around_the_positions_of_a_map():
    shapes = b.anchor_shapes((4.0, 8.0), (0.25, 1.0))
    assert shapes.tolist()[0] == [-4, -1, 4, 1]  # area 16, a quarter as high as wide
    np.testing.assert_allclose(b.area(shapes), [16, 64, 16, 64])
    grid = b.anchor_grid(shapes, (2, 3), (16, 10))
    assert grid.shape == (2 * 3 * 4, 4)
    np.testing.assert_allclose(b.to_centers(grid)[::4, :2].tolist(),
                               [[x, y] for y in (0, 16) for x in (0, 10, 20)])  # fmt: skip


def test_anchors_are_matched_by_overlap():
    anchors = jnp.array([[0.0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 4], [50, 50, 60, 60]])
    boxes = jnp.array([[0.0, 0, 10, 10], [54, 54, 74, 74], [0, 0, 1, 1]])
    valid = jnp.array([True, True, False])
    found = b.match(anchors, boxes, valid, 0.7, 0.5, best_of_each=False)
    assert found.label.tolist() == [1, -1, 0, 0]
    assert found.box.tolist()[:3] == [0, 0, 0]
    found = b.match(anchors, boxes, valid, 0.7, 0.5, best_of_each=True)
    assert found.label.tolist() == [1, -1, 0, 1] and found.box.tolist()[3] == 1
    nothing = b.match(anchors, boxes, jnp.zeros(3, bool), 0.7, 0.5, best_of_each=True)
    assert nothing.label.tolist() == [0, 0, 0, 0]


def test_the_sample_is_balanced_and_of_fixed_number():
    label = jnp.array([1] * 10 + [0] * 50 + [-1] * 40)
    keys = jax.random.split(jax.random.key(0), 200)
    chosen = jax.vmap(lambda key: b.sample(key, label, 16, 0.25))(keys)
    assert (chosen[:, :10].sum(1) == 4).all() and (chosen[:, 10:60].sum(1) == 12).all()
    assert not chosen[:, 60:].any()
    share = chosen.mean(0)
    np.testing.assert_allclose(share[:10], 0.4, atol=0.15)
    np.testing.assert_allclose(share[10:60], 12 / 50, atol=0.13)
    few = b.sample(keys[0], label.at[:9].set(-1), 16, 0.25)  # one object: background fills the rest
    assert few[9] and few.sum() == 16
    assert b.sample(keys[0], label, 200, 0.5)[:60].all()  # more than there are: all of them


@pytest.mark.parametrize("classes", [None, 3])
def test_suppression_is_that_of_a_plain_loop(classes):
    rng = np.random.default_rng(1)
    boxes, scores = random_boxes(rng, 150), rng.permutation(150).astype(np.float32)
    scores[:5] = -np.inf
    kinds = None if classes is None else rng.integers(0, classes, 150)
    expected = plain_boxes.nms(boxes, scores, 0.3, kinds)
    kept = jax.jit(b.nms, static_argnums=(2, 3))(boxes, scores, 0.3, 150, kinds)
    assert kept.index[kept.valid].tolist() == expected and len(expected) < 120
    short = b.nms(boxes, scores, 0.3, 7, kinds)
    assert short.index.tolist() == expected[:7] and short.valid.all()
    none = b.nms(boxes, jnp.full(150, -jnp.inf), 0.3, 4, kinds)
    assert not none.valid.any() and not none.index.any()


def test_losses_by_hand():
    np.testing.assert_allclose(b.smooth_l1(jnp.array([0.5, -2.0])), [0.125, 1.5])
    np.testing.assert_allclose(b.smooth_l1(jnp.array([0.5, -2.0]), 0.0), [0.5, 2.0])
    np.testing.assert_allclose(b.smooth_l1(jnp.array([0.05, 0.5]), 1 / 9), [0.01125, 0.5 - 1 / 18])
    logit = math.log(0.9 / 0.1)
    loss = b.focal_loss(jnp.array([logit, logit]), jnp.array([1.0, 0.0]))
    expected = [-0.25 * 0.01 * math.log(0.9), -0.75 * 0.81 * math.log(0.1)]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_of_equal_scores_the_first_is_selected_and_a_box_without_area_once():
    boxes = np.array([[0, 0, 4, 4], [5, 5, 5, 9], [0, 0, 4, 4], [9, 9, 9, 9]], np.float32)
    selection = b.nms(boxes, np.ones(4), 0.5, 6)
    assert selection.index.tolist() == [0, 1, 3, 0, 0, 0]
    assert selection.valid.tolist() == [True] * 3 + [False] * 3


def test_of_no_boxes_none_is_selected():
    selection = b.nms(jnp.zeros((0, 4)), jnp.zeros(0), 0.5, 3)
    assert selection.valid.tolist() == [False] * 3 and selection.index.tolist() == [0] * 3


def test_without_boxes_all_anchors_are_background():
    matches = b.match(jnp.ones((3, 4)), jnp.zeros((0, 4)), jnp.zeros(0, bool), 0.7, 0.3, True)
    assert matches.label.tolist() == matches.box.tolist() == [0, 0, 0]
