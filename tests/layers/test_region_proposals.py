"""Proposals, the targets of regions and the losses of both, by hand and by plain loops."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.detections import Objects
from nets.layers.region_proposals import (
    Regions,
    RegionTargets,
    proposal_losses,
    propose,
    region_losses,
    region_targets,
)
from tests.support import plain_boxes

OBJECTS = Objects(
    jnp.array([[8.0, 8, 30, 28], [40, 40, 60, 62], [0, 0, 0, 0]]), jnp.array([1, 0, -1])
)


def test_targets_are_proposals_and_the_objects_themselves_a_quarter_of_them_objects():
    near_first, background, near_second, none = (
        (8.0, 8, 30, 30), (0.0, 0, 5, 5), (41.0, 40, 60, 60), (1.0, 1, 1, 1)
    )  # fmt: skip
    boxes = jnp.array([near_first, background, near_second, none])
    regions = Regions(boxes, jnp.array([True, True, True, False]))
    chosen = set()
    for seed in range(20):
        targets = region_targets(6, jax.random.key(seed), regions, OBJECTS)
        rows = [i for i in range(6) if targets.valid[i]]
        by_box = {tuple(targets.boxes[i].tolist()): int(targets.labels[i]) for i in rows}
        # a quarter of six, rounded down, is one object; the only background is always there
        assert len(rows) == 2 and by_box.pop(background) == 0
        (((box, label),)) = by_box.items()
        chosen.add((box, label))
        row = next(i for i in rows if targets.labels[i])
        true = np.asarray(OBJECTS.boxes[0 if label == 2 else 1])
        low, size = np.array(box[:2]), np.array(box[2:]) - np.array(box[:2])
        shift = ((true[:2] + true[2:]) / 2 - (low + size / 2)) / size / 0.1
        scale = np.log((true[2:] - true[:2]) / size) / 0.2
        np.testing.assert_allclose(targets.offsets[row], [*shift, *scale], atol=1e-5)
    first, second = (tuple(OBJECTS.boxes[k].tolist()) for k in (0, 1))
    assert chosen == {(near_first, 2), (first, 2), (near_second, 1), (second, 1)}


def test_proposals_are_the_best_of_each_map_that_no_better_one_of_their_map_covers():
    anchors = [
        jnp.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40], [20, 20, 20, 30]]),
        jnp.array([[0.0, 0, 10, 10], [28, 0, 48, 10]]),
    ]
    scores = jnp.array([0.9, 0.8, 0.1, 0.95, 0.7, 0.6])
    found = propose(scores, jnp.zeros((6, 4)), anchors, (40, 40), candidates=3, limit=4)
    # the fourth of the first map has no width; the third is its fourth by score
    assert found.valid.tolist() == [True, True, True, False]
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [28, 0, 40, 10]]  # the last is clipped
    assert found.boxes[:3].tolist() == boxes


def test_losses_of_regions_by_hand():
    targets = region_targets(
        6, jax.random.key(0), Regions(jnp.zeros((3, 4)), jnp.zeros(3, bool)), OBJECTS
    )
    logits = jnp.log(jnp.broadcast_to(jnp.array([0.5, 0.25, 0.25]), (len(targets.boxes), 3)))
    offsets = jnp.full((len(targets.boxes), 3, 4), 0.5)
    parts = region_losses(logits, offsets, targets)
    # one object, where it is: its offsets are 0, and smooth L1 of 0.5 is 0.5 - 1/18
    assert int(targets.valid.sum()) == 1
    np.testing.assert_allclose(parts["classes"], np.log(4), rtol=1e-6)
    np.testing.assert_allclose(parts["boxes"], 4 * (0.5 - 1 / 18), rtol=1e-6)


TRUE = np.array(OBJECTS.boxes[:2], float)
ANCHORS = np.array(
    [
        [8, 8, 30, 30], [9, 8, 31, 28], [8, 6, 28, 30],  # above 0.7 of the first object
        [16, 8, 38, 28], [8, 14, 30, 40],  # between: neither
        [36, 36, 48, 62],  # little of the second object, but no anchor has more
        [0, 0, 8, 8], [30, 0, 62, 8], [0, 50, 20, 64], [20, 10, 60, 30],
    ],
    float,
)  # fmt: skip


@functools.partial(jax.jit, static_argnums=0)
def losses_of_anchors(count, key, scores, offsets, objects):
    return proposal_losses(jnp.array(ANCHORS), count, key, scores, offsets, objects)


def test_losses_of_proposals_are_those_of_a_plain_loop_over_all_anchors():
    rng = np.random.default_rng(0)
    scores, offsets = rng.normal(size=10), rng.normal(scale=0.4, size=(10, 4))
    labels = plain_boxes.match(ANCHORS, TRUE, 0.7, 0.3, best_of_each=True)
    assert labels == [0, 0, 0, None, None, 1, -1, -1, -1, -1]
    parts = losses_of_anchors(20, jax.random.key(0), scores, offsets, OBJECTS)
    expected = plain_boxes.proposal_losses(ANCHORS, scores, offsets, TRUE)
    np.testing.assert_allclose([parts["objectness"], parts["proposals"]], expected, rtol=1e-5)


def test_losses_of_proposals_are_those_of_some_balanced_sample():
    """Of 4 anchors, 2 of 4 objects and 2 of 4 of the background: one of 36 samples."""
    rng = np.random.default_rng(1)
    scores, offsets = rng.normal(size=10), rng.normal(scale=0.4, size=(10, 4))
    pairs = [*itertools.combinations((0, 1, 2, 5), 2)], [*itertools.combinations((6, 7, 8, 9), 2)]
    possible = np.array(
        [
            plain_boxes.proposal_losses(ANCHORS, scores, offsets, TRUE, objects + background)
            for objects, background in itertools.product(*pairs)
        ]
    )

    sampled = functools.partial(losses_of_anchors, 4)
    keys = jax.random.split(jax.random.key(0), 200)
    parts = jax.vmap(sampled, (0, None, None, None))(keys, scores, offsets, OBJECTS)
    drawn = np.stack([parts["objectness"], parts["proposals"]], 1)
    distance = np.abs(drawn[:, None] - possible[None]).max(-1)
    assert distance.min(1).max() < 1e-5
    assert len(set(distance.argmin(1).tolist())) > 30


def test_losses_of_proposals_without_an_object_are_those_of_the_background():
    nothing = Objects(jnp.zeros((2, 4)), jnp.full(2, -1))
    scores = np.full(10, math.log(3.0))
    parts = losses_of_anchors(6, jax.random.key(0), scores, np.ones((10, 4)), nothing)
    assert parts["proposals"] == 0
    assert parts["objectness"] == pytest.approx(math.log(4), rel=1e-6)  # -log(1 - 3 / 4)


def test_losses_of_regions_are_those_of_a_plain_loop():
    rng = np.random.default_rng(2)
    logits, offsets = rng.normal(size=(7, 4)), rng.normal(scale=0.3, size=(7, 4, 4))
    labels, valid = np.array([0, 3, 1, 0, 2, 3, 0]), np.array([1, 1, 1, 1, 1, 0, 0]) > 0
    true = rng.normal(scale=0.3, size=(7, 4))
    entropy = moved = 0.0
    for i in range(5):  # the last two rows are none, whatever is in them
        shares = np.exp(logits[i]) / np.exp(logits[i]).sum()
        entropy -= math.log(shares[labels[i]]) / 5
        if labels[i]:
            moved += plain_boxes.smooth_l1(offsets[i, labels[i]] - true[i], 1 / 9) / 5
    targets = RegionTargets(jnp.zeros((7, 4)), jnp.array(labels), valid, jnp.float32(true))
    parts = jax.jit(region_losses)(jnp.float32(logits), jnp.float32(offsets), targets)
    np.testing.assert_allclose([parts["classes"], parts["boxes"]], [entropy, moved], rtol=1e-5)
