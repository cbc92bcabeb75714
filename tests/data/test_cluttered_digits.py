"""Digits anywhere, among pieces of others."""

import numpy as np
import pytest

from nets.data.cluttered_digits import ClutteredDigits
from nets.errors import UserError

FIELDS = {"name": "digits", "side": 20, "piece": 4, "batch_size": 6, "eval_size": 12}


def places(image: np.ndarray, part: np.ndarray) -> list[tuple[int, int]]:
    """Where an image is at least as bright as a part in each of its pixels."""
    windows = np.lib.stride_tricks.sliding_window_view(image, part.shape)
    return list(zip(*np.nonzero((windows >= part - 1e-6).all((2, 3))), strict=True))


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_image_is_one_digit_of_its_split_anywhere_and_nothing_else(split):
    data = ClutteredDigits(**FIELDS)
    batch = data.train(3)[1] if split == "train" else data.evaluate(split)[0]
    images = data.images()
    stored, rows = images.rows(split)
    digits, labels = images.source().read(stored, rows, None)
    found = []
    for image, target in zip(batch["inputs"][:6, ..., 0], batch["targets"][:6], strict=True):
        top, left = (int(np.flatnonzero(image.any(axis)).min()) for axis in (1, 0))
        bright = [  # each digit of the split, cut to its ink, at the place of this ink
            label
            for digit, label in zip(digits[..., 0] / 255, labels, strict=True)
            if same(image, digit, top, left)
        ]
        assert bright and set(bright) == {target}
        found.append((top, left))
    assert len(set(found)) > 3


def same(image: np.ndarray, digit: np.ndarray, top: int, left: int) -> bool:
    """Whether an image is this digit with its ink from a row and a column on."""
    rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
    ink = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    expected = np.zeros_like(image)
    if top + ink.shape[0] > len(image) or left + ink.shape[1] > len(image):
        return False
    expected[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return bool(np.abs(expected - image).max() < 1e-6)


def test_clutter_adds_ink_and_hides_none():
    plain, cluttered = (ClutteredDigits(**FIELDS, clutter=n) for n in (0, 5))
    images = cluttered.images()
    stored, rows = images.rows("train")
    digits, labels = images.source().read(stored, rows, None)
    batch = cluttered.train(1)[0]
    assert (batch["inputs"] > 0).sum() > 1.3 * (plain.train(1)[0]["inputs"] > 0).sum()
    for image, target in zip(batch["inputs"][..., 0], batch["targets"], strict=True):
        own = digits[labels == target][..., 0] / 255
        assert any(places(image, digit) for digit in own)


def test_an_example_is_a_function_of_seed_and_index():
    small, large = (ClutteredDigits(**FIELDS | {"batch_size": n}, clutter=2) for n in (2, 6))
    first = np.concatenate([small.train(5)[i]["inputs"] for i in range(3)])
    np.testing.assert_array_equal(first, large.train(5)[0]["inputs"])
    assert (first != large.train(6)[0]["inputs"]).any()


def test_the_spec_is_that_of_batches():
    data = ClutteredDigits(**FIELDS)
    batch = data.train(0)[0]
    assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec().arrays


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"side": 7, "piece": 4}, "at least 8"),
        ({"clutter": -1}, "at least 0"),
        ({"piece": 9}, "part of a digit of 8x8"),
        ({"name": "mnist", "side": 20}, "hold a digit of 28x28"),
    ],
)
def test_wrong_sizes_are_told(fields, message, tmp_path):
    with pytest.raises(UserError, match=message):
        ClutteredDigits(**FIELDS | {"data_dir": str(tmp_path)} | fields).spec()
