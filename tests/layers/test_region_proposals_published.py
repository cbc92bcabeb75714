"""What the published training of proposals and regions leaves out, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.detections import Objects
from nets.layers.region_proposals import (
    Regions,
    RegionTargets,
    proposal_losses,
    region_losses,
    region_targets,
)

OBJECTS = Objects(jnp.array([[0.0, 0, 10, 10], [0, 0, 0, 0]]), jnp.array([1, -1]))


def test_anchors_that_take_no_part_are_neither_objects_nor_background():
    anchors = jnp.array([[-1.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60], [90, 90, 110, 110]])
    usable = jnp.array([False, True, True, False])
    scores = jnp.array([5.0, 1.0, 2.0, 9.0])
    losses = proposal_losses(
        anchors, 4, jax.random.key(0), scores, jnp.zeros((4, 4)), OBJECTS, usable
    )
    # the second is the object, the third background: -log s(1) and -log(1 - s(2)), over two
    expected = (np.log1p(np.exp(-1)) + np.log1p(np.exp(2))) / 2
    assert losses["objectness"] == pytest.approx(expected, rel=1e-5)
    # its middle is 1 of 8 pixels too high, its height 8 of 10: both beyond 1/9
    error = 1 / 8 - 1 / 18 + np.log(10 / 8) - 1 / 18
    assert losses["proposals"] == pytest.approx(error / 2, rel=1e-5)


def test_the_best_anchor_of_an_object_is_one_that_takes_part():
    anchors = jnp.array([[0.0, 0, 10, 6], [0, 0, 10, 4], [50, 50, 60, 60]])  # IoU 0.6, 0.4, 0
    for first, expected in ((True, 3.0), (False, 5.0)):
        usable = jnp.array([first, True, True])
        args = jnp.array([3.0, 5.0, -30.0]), jnp.zeros((3, 4)), OBJECTS
        losses = proposal_losses(anchors, 2, jax.random.key(0), *args, usable)
        # one object and the background, whose loss is 0
        loss = np.log1p(np.exp(-expected)) / 2
        assert losses["objectness"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize(("minimum", "count"), [(0.0, 3), (0.1, 2)])
def test_background_that_is_near_no_object_may_be_left_out(minimum, count):
    boxes = jnp.array([[0.0, 0, 10, 2], [50, 50, 60, 60]])  # IoU 0.2 and 0
    regions = Regions(boxes, jnp.array([True, True]))
    targets = region_targets(4, jax.random.key(0), regions, OBJECTS, minimum)
    assert targets.valid.sum() == count
    background = targets.boxes[targets.valid & (targets.labels == 0)].tolist()
    expected = boxes.tolist() if minimum == 0 else boxes[:1].tolist()
    assert sorted(background) == sorted(expected)


@pytest.mark.parametrize(("beta", "error"), [(1 / 9, 0.5 - 1 / 18), (1.0, 0.125)])
def test_the_loss_of_boxes_has_its_beta(beta, error):
    targets = RegionTargets(jnp.zeros((1, 4)), jnp.array([1]), jnp.array([True]), jnp.zeros((1, 4)))
    parts = region_losses(jnp.zeros((1, 2)), jnp.full((1, 2, 4), 0.5), targets, beta)
    assert parts["boxes"] == pytest.approx(4 * error, rel=1e-5)
