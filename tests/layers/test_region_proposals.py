"""Proposals and the targets of regions, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.detections import Objects
from nets.layers.region_proposals import Regions, propose, region_losses, region_targets

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
