"""Images on a larger canvas: where they lie, and how far they are moved."""

import numpy as np
import pytest

from nets.data.images import Images
from nets.demos.shared_weights import ShiftedImages
from nets.errors import UserError


def corners(image):
    """Row and column of the top left of what is not black."""
    return np.argwhere(image[..., 0]).min(0)


def test_an_evaluations_images_lie_in_the_middle():
    batch = ShiftedImages(margin=3).evaluate("test")[1]
    plain = Images(name="digits", normalise="unit", eval_batch_size=180).evaluate("test")[1]
    assert batch["inputs"].shape == (180, 14, 14, 1)
    np.testing.assert_array_equal(batch["inputs"][:, 3:11, 3:11], plain["inputs"])
    assert batch["inputs"].sum() == pytest.approx(plain["inputs"].sum(), rel=1e-6)
    np.testing.assert_array_equal(batch["targets"], plain["targets"])


def test_training_images_are_moved_by_whole_pixels_and_lose_none():
    data = ShiftedImages(margin=4, shift=2, batch_size=64)
    plain = Images(name="digits", normalise="unit", batch_size=64).train(7)
    moves = set()
    for i in range(4):
        moved, still = data.train(7)[i]["inputs"], plain[i]["inputs"]
        for a, b in zip(moved, still, strict=True):
            by = corners(a) - corners(b) - 4
            np.testing.assert_array_equal(np.roll(a, -by, (0, 1))[4:12, 4:12], b)
            moves.add(tuple(by.tolist()))
    assert moves == {(r, c) for r in range(-2, 3) for c in range(-2, 3)}


def test_batches_are_a_function_of_seed_and_step():
    one, again, other = (ShiftedImages().train(seed)[3]["inputs"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert (ShiftedImages().train(0)[4]["inputs"] != one).any()


def test_the_spec_is_that_of_the_batches():
    data = ShiftedImages(batch_size=8, margin=2, shift=1)
    batch = data.train(0)[0]
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == data.spec().arrays
    assert data.metadata()["margin"] == 2 and data.metadata()["num_classes"] == 10


def test_a_shift_beyond_the_margin_is_refused():
    with pytest.raises(UserError, match="shift must be from 0 to margin=6, got 7"):
        ShiftedImages(shift=7)
