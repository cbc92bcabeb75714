"""Scenes of digits: their boxes and pixels, their splits, and what is refused."""

import numpy as np
import pytest

from nets.data.dataset import check_batch
from nets.data.digit_scenes import DigitScenes, covered
from nets.data.images import Images
from nets.data.scene_masks import DigitMasks
from nets.errors import UserError


@pytest.fixture(scope="module")
def batch():
    return DigitScenes(pixels=True).train(3)[2]


def test_boxes_are_the_extents_of_the_digits(batch):
    counts = (batch["targets"] >= 0).sum(1)
    assert set(counts) == {1, 2, 3, 4, 5}
    for boxes, targets, pixels, n in zip(
        batch["boxes"], batch["targets"], batch["pixels"], counts, strict=True
    ):
        assert (targets[n:] == -1).all() and not boxes[n:].any() and not pixels[n:].any()
        for k in range(n):
            rows, columns = np.nonzero(pixels[k])
            extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert boxes[k].tolist() == extent
            assert 20 * 0.6 < extent[3] - extent[1] <= 56
            assert covered(boxes[k], np.delete(boxes[:n], k, 0)).max(initial=0) <= 0.1


def test_a_batch_is_a_pure_function_of_seed_and_step(batch):
    again, other = (DigitScenes(pixels=True).train(seed)[2] for seed in (3, 4))
    for name, array in batch.items():
        np.testing.assert_array_equal(array, again[name])
    assert not np.array_equal(batch["inputs"], other["inputs"])
    spec = DigitScenes(pixels=True).spec().arrays
    assert {k: (a.shape, a.dtype) for k, a in batch.items()} == spec


def test_a_scene_is_a_function_of_seed_and_index():
    for scenes in (DigitScenes, DigitMasks):
        fours, eights = (scenes(batch_size=b, side=64).train(3) for b in (4, 8))
        for name, array in eights[1].items():
            np.testing.assert_array_equal(np.concatenate([fours[i][name] for i in (2, 3)]), array)
        few, many = (scenes(eval_size=n, side=64).evaluate("test")[0] for n in (5, 9))
        np.testing.assert_array_equal(few["targets"][:5], many["targets"][:5])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_digits_are_those_of_the_split(split):
    data = DigitScenes(max_digits=1, digit_size=(8, 8), side=20, eval_size=40, batch_size=40)
    batch = data.train(0)[0] if split == "train" else data.evaluate(split)[0]
    images = Images(name="digits")
    stored, rows = images.rows(split)
    digits, labels = images.source().read(stored, rows, None)
    inked = [
        np.where(d > 140, d, 0)[np.ix_((d > 140).any(1), (d > 140).any(0))] for d in digits[..., 0]
    ]
    for scene, label in zip(batch["inputs"][:40, ..., 0], batch["targets"][:40, 0], strict=True):
        pixels = np.round((scene + 1) * 127.5)  # as stored; the ground is below 131
        pixels = np.where(pixels > 140, pixels, 0)
        found = pixels[np.ix_((pixels > 0).any(1), (pixels > 0).any(0))]
        same = [k for k, d in enumerate(inked) if np.array_equal(d, found)]
        assert label in labels[same]


def test_a_box_covered_by_others():
    box, others = np.array([0, 0, 4, 4]), np.array([[2, 2, 12, 12], [0, 0, 2, 1], [9, 9, 10, 10]])
    np.testing.assert_allclose(covered(box, others), [4 / 16, 1, 0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_digits": 0}, "max_digits must be at least 1, got 0"),
        (
            {"digit_size": (40, 20)},
            "digit_size must be two sizes that rise from 8 or more to side=128 or less",
        ),
        ({"digit_size": (20, 200)}, r"rise from 8 or more to side=128 or less, got \(20, 200\)"),
        ({"digit_size": (20,)}, "digit_size must be two sizes"),
        ({"max_cover": 2.0}, "max_cover must be at least 0 and at most 1, got 2"),
    ],
)
def test_impossible_scenes_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        DigitScenes(**fields)


@pytest.mark.parametrize(
    "data", [DigitScenes(), DigitScenes(pixels=True, batch_size=3), DigitMasks()]
)
def test_the_spec_is_that_of_a_batch(data):
    check_batch(data, data.train(0)[0])
    assert data.spec().metadata["num_classes"] == len(data.metadata()["class_names"])


def test_a_set_that_is_not_prepared_has_a_spec(tmp_path):
    data = DigitScenes(name="mnist", data_dir=str(tmp_path))
    assert data.spec().metadata["class_names"] == list("0123456789")
    assert data.spec().arrays["boxes"] == ((32, 5, 4), np.float32)


def test_sets_of_coloured_images_are_refused(tmp_path):
    message = "must be a set of grey images; those of cifar10 have channels=3"
    with pytest.raises(UserError, match=message):
        DigitScenes(name="cifar10", data_dir=str(tmp_path)).spec()
