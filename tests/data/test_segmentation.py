"""Images with masks: batches, augmentation that moves both, weights of classes, metadata."""

import numpy as np
import pytest
from PIL import Image

from nets.data import segmentation_loading
from nets.data.segmentation import SegmentationImages
from nets.data.segmentation_loading import class_frequencies, median_frequency
from nets.errors import UserError
from tests.support.segmentation_sets import write_folder, write_mask


@pytest.fixture(autouse=True)
def forget():
    segmentation_loading.open_set.cache_clear()
    segmentation_loading.statistics.cache_clear()


def as_targets(ids, void=255):
    return np.where(ids == void, -1, ids)


@pytest.fixture
def folder(tmp_path):
    """A folder of random images and masks, and both by split."""
    return str(tmp_path / "set"), write_folder(tmp_path / "set")


@pytest.mark.parametrize("in_memory_mb", [0, 10])
def test_an_evaluation_is_the_set_in_its_order(folder, in_memory_mb):
    path, sets = folder
    data = SegmentationImages(
        path=path, normalise="unit", eval_batch_size=3, in_memory_mb=in_memory_mb
    )
    assert data.splits() == ("validation", "test")
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        batches = list(data.evaluate(split))
        real = np.concatenate([b["mask"] for b in batches]) > 0
        inputs, targets = (
            np.concatenate([b[k] for b in batches])[real] for k in ("inputs", "targets")
        )
        images, ids = sets[name]
        np.testing.assert_array_equal(np.round(inputs * 255), images)
        np.testing.assert_array_equal(targets, as_targets(ids))
        assert targets.dtype == np.int32


def test_in_memory_or_not_batches_and_metadata_are_the_same(folder):
    stored, read = (
        SegmentationImages(
            path=folder[0], batch_size=4, crop=(5, 5), scale=(0.5, 2.0), flip=True, in_memory_mb=mb
        )
        for mb in (0, 10)
    )
    first, second = stored.metadata(), read.metadata()
    assert first.pop("digest") != second.pop("digest") and first == second
    for i in range(4):
        one, other = stored.train(3)[i], read.train(3)[i]
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])


def test_training_takes_every_image_once_an_epoch(folder):
    path, (images, _) = folder[0], folder[1]["train"]
    data = SegmentationImages(path=path, normalise="unit", batch_size=3)
    batches = [data.train(1)[i] for i in range(2)]
    inputs = np.round(np.concatenate([b["inputs"] for b in batches]) * 255).astype(np.uint8)
    assert sorted(a.tobytes() for a in inputs) == sorted(a.tobytes() for a in images)
    again, other = data.train(1)[0], data.train(2)[0]
    np.testing.assert_array_equal(batches[0]["inputs"], again["inputs"])
    assert not np.array_equal(again["inputs"], other["inputs"])


def write_levels(root, size):
    """Images whose pixels are 20 (k + 1) where the mask is k, in blocks."""
    rng = np.random.default_rng(5)
    for k in range(8):
        blocks = rng.integers(0, 6, (size[0] // 5, size[1] // 5)).astype(np.uint8)
        ids = blocks.repeat(5, 0).repeat(5, 1)
        file = root / "images" / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(20 * (ids + 1)).save(file)
        write_mask(root / "labels" / f"{k}.png", ids)


@pytest.mark.parametrize(
    "fields",
    [
        {"flip": True},
        {"crop": (22, 17), "flip": True},
        {"scale": (0.5, 2.0), "flip": True},
        {"scale": (1.5, 3.0), "crop": (30, 26)},
        {"image_size": (40, 30), "fit": "crop"},
        {"image_size": (31, 64), "scale": (0.4, 0.9)},
    ],
)
def test_masks_move_with_their_images(tmp_path, fields):
    size = (30, 35)
    write_levels(tmp_path, size)
    data = SegmentationImages(
        path=str(tmp_path), grey=True, normalise="unit", batch_size=7, background=0, **fields
    )
    shape = fields.get("crop") or fields.get("image_size") or size
    levels, wrong, voids = set(), [], 0
    for i in range(6):
        batch = data.train(0)[i]
        assert batch["targets"].shape == (7, *shape) and batch["inputs"].shape == (7, *shape, 1)
        expected = 20 * (batch["targets"] + 1)  # 0 where it is void
        pixels = np.round(batch["inputs"][..., 0] * 255)
        levels |= {*np.unique(batch["targets"]).tolist()}
        voids += (batch["targets"] < 0).sum()
        wrong.append(np.abs(pixels - expected) > 8)  # mixed where two blocks meet
    assert levels >= {0, 1, 2, 3, 4, 5} and np.mean(wrong) < 0.35
    covers = fields.get("scale", (1, 1))[0] >= 1
    assert (voids == 0) == covers
    # a mask moved by a pixel fits worse
    for axis in (1, 2):
        shifted = np.roll(expected, 1, axis)
        assert np.mean(np.abs(pixels - shifted) > 8) > np.mean(wrong[-1])


def test_mirroring_and_cropping_change_no_value(folder):
    path, (images, ids) = folder[0], folder[1]["train"]
    data = SegmentationImages(path=path, normalise="unit", batch_size=6, flip=True, crop=(4, 3))
    parts = {}
    for image, mask in zip(images, as_targets(ids), strict=True):
        for top, left in np.ndindex(3, 6):
            part = np.s_[top : top + 4, left : left + 3]
            for way in (1, -1):
                parts[image[part][:, ::way].tobytes()] = mask[part][:, ::way]
    seen = set()
    for i in range(20):
        batch = data.train(0)[i]
        for image, mask in zip(
            np.round(batch["inputs"] * 255).astype(np.uint8), batch["targets"], strict=True
        ):
            np.testing.assert_array_equal(parts[image.tobytes()], mask)
            seen.add(image.tobytes())
    assert len(seen) > 60  # of 216


def test_colours_change_and_masks_do_not(folder):
    plain, jittered = (
        SegmentationImages(path=folder[0], batch_size=4, colour_jitter=c).train(0)[0]
        for c in (0.0, 0.5)
    )
    np.testing.assert_array_equal(plain["targets"], jittered["targets"])
    assert not np.allclose(plain["inputs"], jittered["inputs"])


def test_a_letterbox_leaves_void_and_a_crop_leaves_none(tmp_path):
    write_folder(tmp_path, ("train",), size=(10, 20))
    box, crop = (
        SegmentationImages(path=str(tmp_path), image_size=(20, 20), fit=fit, normalise="unit")
        for fit in ("letterbox", "crop")
    )
    batch = box.evaluate("train")[0]
    assert (batch["targets"][:, 10:] == -1).all() and (batch["targets"][:, :10] >= 0).any(
        (1, 2)
    ).all()
    np.testing.assert_allclose(batch["inputs"][:, 10:], 128 / 255, rtol=1e-6)
    stored = SegmentationImages(path=str(tmp_path)).evaluate("train")[0]["targets"]
    np.testing.assert_array_equal(batch["targets"][:, :10], stored)
    middle = stored[:, :, 5:15].repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(crop.evaluate("train")[0]["targets"], middle)


def test_metadata_counts_the_training_masks(folder):
    path, sets = folder
    data = SegmentationImages(path=path, classes=("a", "b", "c"), batch_size=2)
    metadata = data.metadata()
    images, ids = sets["train"]
    assert metadata["class_names"] == ["a", "b", "c"] and metadata["num_classes"] == 3
    assert metadata["images"] == {"train": 6, "validation": 5, "test": 4}
    assert metadata["train_examples"] == 6
    assert metadata["class_pixels"] == [int((ids == k).sum()) for k in range(3)]
    np.testing.assert_allclose(metadata["mean"], images.mean((0, 1, 2)) / 255)
    np.testing.assert_allclose(metadata["std"], images.std((0, 1, 2)) / 255)
    inputs = data.evaluate("train")[0]["inputs"]
    pixels = (inputs - metadata["pixel_offset"]) / metadata["pixel_scale"]
    np.testing.assert_allclose(pixels[:2], images[:2], atol=1e-3)
    assert len(metadata["class_colours"]) == 3


def test_median_frequency_balancing_by_hand(tmp_path):
    # class 0: 12 of 20 pixels; class 1: 4 of the 10 of the one image that has it; class 2: 2 of 20
    masks = np.array([[0] * 5 + [1] * 4 + [2], [0] * 7 + [9] * 2 + [2]], np.uint8)
    for k, mask in enumerate(masks.reshape(2, 2, 5)):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((2, 5, 3), np.uint8)).save(tmp_path / "images" / f"{k}.png")
        write_mask(tmp_path / "labels" / f"{k}.png", mask)
    data = SegmentationImages(
        path=str(tmp_path), classes=("a", "b", "c", "d"), void=(9,), validation=0,
        class_weights="median_frequency", batch_size=2, eval_batch_size=2,
    )  # fmt: skip
    expected = [0.4 / 0.6, 1, 4, 0]  # d never occurs
    assert data.metadata()["class_frequencies"] == pytest.approx([0.6, 0.4, 0.1, 0])
    for batch in (data.train(0)[0], data.evaluate("train")[0]):
        np.testing.assert_allclose(batch["class_weights"], [expected] * 2, rtol=1e-6)
        assert batch["class_weights"].dtype == np.float32
    assert median_frequency(np.array([0.2, 0.0])).tolist() == [1, 0]
    assert class_frequencies(np.array([[0, 3]]), np.array([[2, 3]])).tolist() == [0, 0.5]


def test_a_share_of_the_training_images_is_held_out(tmp_path):
    write_folder(tmp_path, ("train", "test"))
    data = SegmentationImages(path=str(tmp_path), validation=0.4, batch_size=2)
    assert data.metadata()["images"] == {"train": 4, "validation": 2, "test": 5}
    assert data.splits() == ("validation", "test")
    assert SegmentationImages(path=str(tmp_path), validation=0).splits() == ("test",)


def test_what_is_known_without_the_data(folder):
    given = {"classes": ("a", "b", "c"), "class_weights": "median_frequency", "batch_size": 5}
    absent = SegmentationImages(path="nowhere", image_size=(6, 8), **given)
    present = SegmentationImages(path=folder[0], **given)
    assert absent.spec() == present.spec()
    batch = present.train(0)[0]
    assert {k: (a.shape, a.dtype) for k, a in batch.items()} == present.spec().arrays
    assert SegmentationImages(path="nowhere", crop=(3, 4), classes=("a", "b")).spec().arrays[
        "targets"
    ] == ((16, 3, 4), np.int32)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 7}, "batch_size must be at most 6, the training images of set, got 7"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"image_size": (0, 4)}, r"image_size must be a height and a width of at least 1, got \(0"),
        ({"image_size": (8,)}, r"image_size must be a height and a width .*, got \(8,\)"),
        ({"crop": (4, 0)}, "crop must be a height and a width of at least 1"),
        ({"crop": (4, 4, 3)}, "crop must be a height and a width of at least 1"),
        ({"scale": (2.0, 1.0)}, "scale must be two factors that rise from above 0"),
        ({"scale": (0.0, 1.0)}, "scale must be two factors that rise from above 0"),
        ({"scale": (1.0,)}, r"scale must be two factors that rise from above 0, got \(1.0,\)"),
        ({"void": (300,)}, "void must be ids from 0 to 255, got"),
        ({"classes": ("a",)}, "classes must be two or more different names"),
        ({"classes": ("a", "a")}, "classes must be two or more different names"),
        ({"classes": ("a", "b"), "class_table": "x"}, "classes must be none where class_table"),
        ({"fit": "stretch"}, "fit must be one of letterbox, crop, got stretch"),
        ({"class_weights": "some"}, "class_weights must be one of none, median_frequency"),
        ({"mean": (0.5,)}, "mean has 1 numbers, and the images of set have channels=3"),
    ],
)
def test_impossible_fields_are_refused(folder, fields, message):
    with pytest.raises(UserError, match=message):
        SegmentationImages(path=folder[0], **{"batch_size": 2} | fields).train(0)


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("fit", ["letterbox", "crop"])
def test_an_image_of_ones_own_is_read_as_in_an_evaluation(folder, fit, grey):
    """And the matrix takes its pixels to those of the mask."""
    path, sets = folder
    for size in (None, (12, 12)):
        data = SegmentationImages(path=path, image_size=size, fit=fit, grey=grey, scale=(0.5, 2))
        batch, metadata = data.evaluate("validation")[0], data.metadata()
        for k in range(3):
            file = f"{path}/val/images/{k}.png"
            found, source = data.load_input(file, metadata)
            np.testing.assert_array_equal(found["inputs"], batch["inputs"][k : k + 1])
            rows, columns = np.indices(source["image"].shape[:2]) + 0.5
            ids = as_targets(sets["val"][1][k])
            x, y, _ = np.tensordot(source["matrix"], [columns, rows, np.ones_like(rows)], 1)
            inside = (0 <= x) & (x < batch["targets"].shape[2])
            there = batch["targets"][k][y.astype(int), x.clip(0, None).astype(int).clip(None, 11)]
            np.testing.assert_array_equal(there[inside], ids[inside])
            assert inside.all() == (size is None or fit == "letterbox")
