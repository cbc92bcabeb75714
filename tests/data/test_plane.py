"""Points of the plane against the description of each set."""

import numpy as np
import pytest

from nets.data.plane import Plane
from nets.errors import UserError


def points(kind, **fields):
    batch = Plane(kind=kind, batch_size=4000, **fields).train(0)[0]
    return batch["inputs"].astype(float), batch["targets"]


def test_circles_are_a_disc_in_a_ring():
    x, classes = points("circles", noise=0.0)
    radius = np.hypot(*x.T)
    assert radius[classes == 1].max() <= 2.5 + 1e-6 and radius[classes == 1].min() < 0.1
    ring = radius[classes == 0]
    assert 3.5 - 1e-6 <= ring.min() < 3.55 and 4.95 < ring.max() <= 5 + 1e-6
    assert abs(x.mean(0)).max() < 0.1  # all around


def test_spirals_are_two_arms_half_a_turn_apart():
    x, classes = points("spirals", noise=0.0)
    radius = np.hypot(*x.T)
    turned = np.arctan2(*x.T) - 3.5 * np.pi * radius / 5 - np.pi * classes
    np.testing.assert_allclose(np.cos(turned), 1, atol=1e-3)
    assert radius.max() <= 5 + 1e-5


def test_xor_and_gaussians():
    x, classes = points("xor", noise=0.0)
    np.testing.assert_array_equal(x.prod(1) > 0, classes == 1)
    assert abs(x).min() >= 0.3 - 1e-6 and abs(x).max() <= 5 + 1e-6
    assert len(np.unique(np.sign(x), axis=0)) == 4
    x, classes = points("gaussians", noise=0.0)
    for k, centre in enumerate((-2, 2)):
        np.testing.assert_allclose(x[classes == k].mean(0), centre, atol=0.1)
        np.testing.assert_allclose(x[classes == k].std(0), 1, atol=0.05)


@pytest.mark.parametrize("kind", ["circles", "spirals", "xor", "gaussians"])
def test_noise_moves_points_and_the_classes_are_balanced(kind):
    x, classes = points(kind, noise=0.5)
    still, _ = points(kind, noise=0.0)
    assert (x - still).std() == pytest.approx(0.5, rel=0.05)
    assert classes.sum() == 2000
    data = Plane(kind=kind)
    assert {k: (v.shape, v.dtype) for k, v in data.train(0)[0].items()} == data.spec().arrays


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="kind must be one of circles, .* got moons"):
        Plane(kind="moons")
    with pytest.raises(UserError, match="noise must be at least 0, got -1"):
        Plane(noise=-1)
