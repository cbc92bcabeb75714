"""Crops against PIL, hand-worked boxes and the published ranges; then batches that are cut so."""

import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from nets.data import crops
from nets.data.images import Images
from nets.errors import UserError
from tests.support.image_sets import arrays, everything, in_threads, pixels, write_tfds


@pytest.mark.parametrize("shape", [(40, 60, 3), (61, 33, 1), (500, 375, 3), (7, 7, 3)])
def test_the_middle_is_that_of_pil(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for side in (5, 32, 97):
        picture = Image.fromarray(image.squeeze())
        want = ImageOps.fit(picture, (side, side), Image.Resampling.BILINEAR)
        found = crops.resize(image, crops.middle(*shape[:2]), (side, side))
        assert np.array_equal(found.squeeze(), np.asarray(want))


def test_the_middle_by_hand():
    assert crops.middle(40, 60) == (10, 0, 50, 40)
    assert crops.middle(40, 60, 0.5) == (20, 10, 40, 30)


def test_jitter_cuts_the_square_that_the_resized_image_shows():
    rng = np.random.default_rng(0)
    found = np.array([crops.jittered(rng, 50, (100, 200), 100, 200) for _ in range(3000)])
    left, top, edge = found[:, 0], found[:, 1], found[:, 2] - found[:, 0]
    np.testing.assert_allclose(found[:, 3] - top, edge)
    assert found.min() >= 0 and (left + edge).max() <= 200 and (top + edge).max() <= 100
    lengths = 100 * 50 / edge  # that the shorter side was resized to
    np.testing.assert_allclose(lengths, np.round(lengths))
    assert {100, 200} < {*np.round(lengths)} and len({*np.round(lengths)}) == 101
    np.testing.assert_allclose((left / (200 - edge)).mean(), 0.5, atol=0.02)
    np.testing.assert_allclose((top / (100 - edge)).mean(), 0.5, atol=0.02)


def test_area_keeps_to_the_published_ranges():
    rng = np.random.default_rng(0)
    found = np.array([crops.area(rng, 300, 400) for _ in range(3000)])
    w, h = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
    assert found.min() >= 0 and found[:, 2].max() == 400 and found[:, 3].max() == 300
    share, ratio = w * h / (300 * 400), w / h
    assert 0.079 < share.min() < 0.09 and 0.97 < share.max() <= 1
    assert 0.74 < ratio.min() < 0.76 and 1.32 < ratio.max() < 1.35
    assert abs(np.log(ratio)[share < 0.5].mean()) < 0.02  # where all ratios fit
    # 8% of a strip are higher than it is at any ratio: the middle square
    assert crops.area(rng, 10, 1000) == (495, 0, 505, 10)


def test_an_evaluation_cuts_the_middle_of_the_resized_image(saved):
    given = arrays(shape=(40, 60, 3))
    data = Images(path=saved(**given), image_size=20, eval_short_side=40, normalise="unit")
    assert data.spec().arrays["inputs"][0][1:] == (20, 20, 3)
    assert np.array_equal(everything(data, "test")[0], given["x_test"][:, 10:30, 20:40])
    whole = Images(path=data.path, image_size=20, normalise="unit", batch_size=45)
    trained = Images(
        path=data.path, image_size=20, eval_short_side=40, normalise="unit", batch_size=45
    )
    assert np.array_equal(pixels(trained.train(0)[0]), pixels(whole.train(0)[0]))


def test_training_images_are_cut_at_random_places(saved):
    """A pixel tells its position: where the length is the image's own, they are one pixel apart."""
    given = arrays(shape=(40, 60, 3), n=50)
    given["x_train"][..., 0] = np.arange(40)[:, None]
    given["x_train"][..., 1] = np.arange(60)
    data = Images(
        path=saved(**given), image_size=20, crop="jitter", short_side=(40, 40), normalise="unit",
        validation=0, batch_size=50,
    )  # fmt: skip
    batches = data.train(0)
    cut = pixels(batches[0]).astype(int)
    assert abs(np.diff(cut[..., 0], axis=1) - 1).max() <= 1
    assert abs(np.diff(cut[..., 1], axis=2) - 1).max() <= 1
    tops, lefts = cut[:, 0, 0, 0], cut[:, 0, 0, 1]
    assert tops.min() <= 3 and tops.max() >= 17 and lefts.min() <= 4 and lefts.max() >= 36
    for other in (batches[1], data.train(1)[0]):
        assert not np.array_equal(pixels(other)[:, 0, 0, :2], cut[:, 0, 0, :2])


def write_unequal(root):
    for split, label, k in np.ndindex(2, 2, 6):
        file = root / ("train", "test")[split] / "ab"[label] / f"{k}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        shape = (50 + 7 * k, 80 - 5 * k, 3)
        Image.fromarray(np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8)).save(file)
    return str(root)


@pytest.mark.parametrize("crop", ["area", "jitter"])
def test_a_folder_of_unequal_images_is_read_the_same_in_any_order(tmp_path, crop):
    data = Images(
        path=write_unequal(tmp_path / "data"), image_size=32, crop=crop, short_side=(36, 48),
        eval_short_side=40, batch_size=4, flip=True, colour_jitter=0.4, colour_noise=0.1,
    )  # fmt: skip
    batches = data.train(3)
    assert {k: (v.shape, v.dtype) for k, v in batches[0].items()} == data.spec().arrays
    assert data.read_threads == min(16, os.cpu_count())  # decoded ahead, not held in memory
    for i, batch in enumerate(in_threads(batches, 0, 5)):
        again = data.train(3)[i]
        assert all(np.array_equal(batch[k], again[k]) for k in batch)
    assert data.evaluate("test")[0]["inputs"].shape == (256, 32, 32, 3)


def test_tfds_images_are_cut_too(tmp_path):
    made = write_tfds(tmp_path, shape=(12, 10, 3))
    data = Images(
        name="tinted", data_dir=str(tmp_path), image_size=4, crop="area", eval_short_side=10,
        batch_size=20, validation=0, normalise="unit",
    )  # fmt: skip
    assert np.array_equal(everything(data, "test")[0], made["test"][0][:, 4:8, 3:7])
    assert data.train(0)[0]["inputs"].shape == (20, 4, 4, 3)


def test_digits_are_cut_from_their_own_pixels():
    whole = Images(normalise="unit")
    data = Images(normalise="unit", image_size=4, eval_short_side=8)
    found = data.evaluate("test")[0]["inputs"]
    assert np.array_equal(found, whole.evaluate("test")[0]["inputs"][:, 2:6, 2:6])


@pytest.mark.parametrize(
    "given, message",
    [
        ({"crop": "zoom"}, "crop must be one of middle, jitter, area, got zoom"),
        ({"crop": "area"}, "need image_size"),
        ({"eval_short_side": 256}, "need image_size"),
        (
            {"image_size": 224, "eval_short_side": 200},
            "_short_side must be at least 224, got 200",
        ),
        (
            {"image_size": 32, "crop": "jitter", "short_side": (31, 40)},
            "must rise from .*32 or more, got 31,40",
        ),
        (
            {"image_size": 32, "crop": "jitter", "short_side": (50, 40)},
            "short_side .*, got 50,40",
        ),
        ({"colour_jitter": 1.0}, "colour_jitter must be at least 0 and below 1, got 1.0"),
        ({"colour_noise": -0.1}, "colour_noise must be at least 0, got -0.1"),
    ],
)
def test_impossible_crops_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        Images(**given)


def test_noise_of_colour_needs_colours():
    with pytest.raises(UserError, match="colour_noise=0.1 is for RGB .* digits have channels=1"):
        Images(colour_noise=0.1).train(0)
