"""The forms of sets of images and masks, and what is refused in one line with its file."""

import json

import numpy as np
import pytest
from PIL import Image

from nets.data import segmentation_loading
from nets.data.segmentation import SegmentationImages
from nets.errors import UserError
from tests.support.segmentation_sets import PALETTE, made, write_folder, write_mask, write_voc

NAMES = ("ground", "car", "tree")


@pytest.fixture(autouse=True)
def forget():
    segmentation_loading.open_set.cache_clear()


def targets(data, split):
    batches = list(data.evaluate(split))
    real = np.concatenate([b["mask"] for b in batches]) > 0
    return np.concatenate([b["targets"] for b in batches])[real]


@pytest.mark.parametrize("masks", ["labels", "masks"])
def test_one_folder_without_splits_is_that_of_training(tmp_path, masks):
    sets = write_folder(tmp_path, (".",), masks=masks)
    data = SegmentationImages(path=str(tmp_path), validation=0)
    ids = sets["."][1]
    assert data.splits() == ()
    np.testing.assert_array_equal(targets(data, "train"), np.where(ids == 255, -1, ids))
    assert data.metadata()["class_names"] == ["0", "1", "2"]


def test_pascal_vocs_form(tmp_path):
    sets = write_voc(tmp_path / "VOC2012")
    data = SegmentationImages(path=str(tmp_path / "VOC2012"), classes=NAMES, void=(3,))
    for split, name in (("train", "train"), ("validation", "val")):
        ids = sets[name]
        np.testing.assert_array_equal(targets(data, split), np.where(ids == 3, -1, ids))
    metadata = data.metadata()
    assert metadata["class_colours"] == [list(colour) for colour in PALETTE[:3]]
    assert data.splits() == ("validation",)
    lists = tmp_path / "VOC2012" / "ImageSets" / "Segmentation"
    (lists / "test.txt").write_text("2008_000001\n")  # whose mask is not published
    segmentation_loading.open_set.cache_clear()
    assert data.splits() == ("validation",)
    (lists / "test.txt").write_text((lists / "val.txt").read_text())
    segmentation_loading.open_set.cache_clear()
    assert data.splits() == ("validation", "test")


@pytest.mark.parametrize("kind", ["text", "csv", "json"])
def test_masks_of_colours_by_a_table(tmp_path, kind):
    names = (*NAMES, "unknown")
    rows = [(*colour, name) for colour, name in zip(PALETTE, names, strict=True)]
    lines = {
        "text": "".join(f"{r} {g} {b}\t\t{name}\n" for r, g, b, name in rows),
        "csv": "name,r,g,b\n" + "".join(f"{name},{r},{g},{b}\n" for r, g, b, name in rows),
        "json": json.dumps({name: [r, g, b] for r, g, b, name in rows}),
    }
    table = tmp_path / "classes"
    table.write_text(lines[kind])
    sets = write_folder(tmp_path / "set", ("train",), "colours", void=3)
    data = SegmentationImages(
        path=str(tmp_path / "set"), class_table=str(table), void=(3,), validation=0
    )
    ids = sets["train"][1]
    np.testing.assert_array_equal(targets(data, "train"), np.where(ids == 3, -1, ids))
    assert data.metadata()["class_names"] == list(NAMES)
    assert data.metadata()["class_colours"] == [list(colour) for colour in PALETTE[:3]]


def test_ids_above_one_that_is_void_become_classes_from_0_on(tmp_path):
    sets = write_folder(tmp_path, ("train",), void=0)
    data = SegmentationImages(path=str(tmp_path), classes=("one", "two"), void=(0,), validation=0)
    expected = sets["train"][1] - 1
    np.testing.assert_array_equal(targets(data, "train"), expected)


def test_images_are_read_as_grey_where_that_is_set(tmp_path):
    sets = write_folder(tmp_path, ("train",), channels=1)
    data = SegmentationImages(path=str(tmp_path), grey=True, normalise="unit", validation=0)
    inputs = data.evaluate("train")[0]["inputs"][:6]
    np.testing.assert_array_equal(np.round(inputs[..., 0] * 255), sets["train"][0])
    assert len(data.metadata()["mean"]) == 1


def test_the_digest_is_that_of_images_and_masks(tmp_path):
    sets = write_folder(tmp_path, ("train",))
    fields = {"path": str(tmp_path), "validation": 0}
    digests = [SegmentationImages(**fields, in_memory_mb=mb).metadata()["digest"] for mb in (9, 0)]
    mask = sets["train"][1][0].copy()
    mask[0, 0] = (mask[0, 0] + 1) % 3
    write_mask(tmp_path / "train" / "labels" / "0.png", mask)
    segmentation_loading.open_set.cache_clear()
    assert SegmentationImages(**fields).metadata()["digest"] != digests[0]
    renamed = SegmentationImages(**fields, classes=NAMES, in_memory_mb=0)
    assert renamed.metadata()["digest"] != digests[1]


@pytest.mark.parametrize("in_memory_mb", [0, 9])
def test_the_digest_is_not_that_of_the_place(tmp_path, in_memory_mb):
    digests = []
    for place in ("here", "there"):
        write_folder(tmp_path / place)
        data = SegmentationImages(path=str(tmp_path / place), in_memory_mb=in_memory_mb)
        digests.append(data.metadata()["digest"])
    assert digests[0] == digests[1]


def wrong_size(root):
    write_mask(root / "train" / "labels" / "2.png", made(1, (6, 9))[1][0])


def without_mask(root):
    (root / "val" / "labels" / "1.png").unlink()


def without_image(root):
    (root / "test" / "images" / "2.png").unlink()


def unknown_id(root):
    mask = made(1)[1][0]
    mask[3, 2] = 7
    write_mask(root / "test" / "labels" / "3.png", mask)


def without_labels(root):
    (root / "train" / "labels").rename(root / "train" / "annotations")


def without_images(root):
    for file in (root / "train" / "images").iterdir():
        file.unlink()


def colours(root):
    write_mask(root / "train" / "labels" / "0.png", np.zeros((6, 8), int), "colours")


def broken(root):
    (root / "train" / "labels" / "1.png").write_text("no picture")


def other_size(root):
    image, ids = made(1, (7, 8))
    Image.fromarray(image[0]).save(root / "val" / "images" / "4.png")
    write_mask(root / "val" / "labels" / "4.png", ids[0])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (wrong_size, r"train/labels/2.png is 9x6 and its image .*train/images/2.png is 8x6"),
        (without_mask, r"val/images/1.png has no mask .*val/labels/1.png"),
        (without_image, r"test/labels/2.png has no image of its name in .*test/images"),
        (
            unknown_id,
            r"test/labels/3.png has the class id 7; the 3 classes have 0 to 2, void is 255",
        ),
        (without_labels, r"train has images, but no folder labels or masks"),
        (without_images, r"train/images has no image files \(.png"),
        (colours, r"train/labels/0.png has colours, not ids of classes: give class_table"),
        (broken, r"train/labels/1.png cannot be read as an image"),
        (other_size, r"val/images/4.png is 8x7 and others are 8x6: .* need image_size"),
    ],
)
def test_what_is_wrong_is_told_with_its_file(tmp_path, spoil, message):
    write_folder(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        SegmentationImages(path=str(tmp_path), classes=NAMES).metadata()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lacking", [1, 2, 3])
def test_a_colour_that_is_not_in_the_table_is_refused(tmp_path, lacking):
    table = tmp_path / "classes.txt"
    rows = [f"{r} {g} {b} class{k}" for k, (r, g, b) in enumerate(PALETTE) if k != lacking]
    table.write_text("\n".join(rows))
    write_folder(tmp_path, ("train",), "colours", void=3)
    colour = ", ".join(map(str, PALETTE[lacking]))
    with pytest.raises(UserError, match=rf"labels/\d.png has the colour \({colour}\) at row \d"):
        SegmentationImages(path=str(tmp_path), class_table=str(table)).metadata()


def test_missing_folders_are_refused(tmp_path):
    (tmp_path / "pictures").mkdir()
    refusals = {
        None: "path must be given: a folder of images and masks",
        str(tmp_path / "nowhere"): "path=.*nowhere: no such folder",
        str(tmp_path): r"has no folder train/images, images, or .*; its folders: pictures\.",
    }
    for path, message in refusals.items():
        with pytest.raises(UserError, match=message):
            SegmentationImages(path=path).metadata()


def test_vocs_lists_must_be_there_and_right(tmp_path):
    root = tmp_path / "VOC"
    write_voc(root)
    data = SegmentationImages(path=str(root), void=(3,))
    (root / "JPEGImages" / "2007_000002.jpg").unlink()
    with pytest.raises(UserError, match=r"train.txt names 2007_000002, and there is no .*jpg"):
        data.metadata()
    (root / "ImageSets" / "Segmentation" / "train.txt").unlink()
    with pytest.raises(UserError, match=r"SegmentationClass, but no .*Segmentation/train.txt"):
        data.metadata()


def test_masks_that_are_void_throughout_have_no_classes(tmp_path):
    write_folder(tmp_path, ("train",), classes=1, void=0)
    message = "void=0: all pixels of all training masks are void"
    for fields in ({}, {"classes": ("a", "b"), "class_weights": "median_frequency"}):
        with pytest.raises(UserError, match=message):
            SegmentationImages(path=str(tmp_path), void=(0,), **fields).train(0)
