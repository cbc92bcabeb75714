"""Batches of photographs with boxes: the boxes lie around the pixels that they were drawn with."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from nets.data.annotations import Example
from nets.data.detection import DetectionImages
from nets.data.detection_frame import Frame
from nets.errors import UserError
from nets.faster_rcnn import FasterRCNN
from nets.yolo import YOLO
from tests.support.detection_files import (
    COLOURS,
    SCENES,
    picture,
    write_coco,
    write_pictures,
    write_table,
    write_voc,
    xml,
)
from tests.support.image_sets import forget, in_threads

SMALL = {"batch_size": 2, "eval_batch_size": 2, "image_size": (40, 60), "normalise": "unit"}
NAMES = [*COLOURS]
FORMS = {"voc": write_voc, "table": write_table, "coco": write_coco}


def rows(batch, i):
    """Classes and boxes of image i."""
    there = batch["targets"][i] >= 0
    assert not batch["boxes"][i][~there].any() and (batch["targets"][i][~there] == -1).all()
    return [NAMES[k] for k in batch["targets"][i][there]], batch["boxes"][i][there].tolist()


@pytest.mark.parametrize("in_memory_mb", [100, 0])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same(tmp_path, form, in_memory_mb):
    data = DetectionImages(**FORMS[form](tmp_path), **SMALL, in_memory_mb=in_memory_mb)
    assert data.splits() == ("validation", "test")
    metadata = data.metadata()
    assert metadata["class_names"] == NAMES and metadata["num_classes"] == 3
    assert metadata["images"] == {"train": 2, "validation": 1, "test": 1}
    assert metadata["objects"] == {"train": 3, "validation": 0, "test": 3}
    assert metadata["max_boxes"] == 3 and metadata["image_size"] == [40, 60]
    assert metadata["train_examples"] == 2
    train = data.evaluate("train")[0]
    assert {k: a.shape for k, a in train.items()} == {
        "inputs": (2, 40, 60, 3), "boxes": (2, 3, 4), "targets": (2, 3), "difficult": (2, 3),
        "mask": (2,),
    }  # fmt: skip
    assert rows(train, 0) == (["cat", "dog"], [[10, 5, 30, 25], [40, 20, 60, 40]])
    # 60 x 40 fits into 40 x 60 by 2 / 3: 27 pixels across, 27 / 40 of each x, 2 / 3 of each y
    names, boxes = rows(train, 1)
    assert names == ["dog"]
    np.testing.assert_allclose(boxes, [[0, 0, 12 * 27 / 40, 20 * 2 / 3]], rtol=1e-6)
    assert np.array_equal(np.round(train["inputs"][0] * 255), picture("a"))
    assert (np.round(train["inputs"][1, :, 27:] * 255) == 128).all()
    empty = data.evaluate("validation")[0]
    assert rows(empty, 0) == ([], []) and empty["mask"].tolist() == [1, 0]
    names, boxes = rows(data.evaluate("test")[0], 0)
    assert names == ["owl", "cat", "cat"]
    assert boxes == [[8, 4, 28, 36], [32, 8, 56, 32], [40, 0, 60, 8]]  # of 20 x 30, twice
    batch = data.train(0)[0]
    assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec().arrays
    assert data.read_threads == (1 if in_memory_mb else min(16, os.cpu_count()))


def test_a_stretched_image_fills_the_input(tmp_path):
    data = DetectionImages(**write_voc(tmp_path), **SMALL, fit="stretch")
    names, boxes = rows(data.evaluate("train")[0], 1)
    assert names == ["dog"]
    np.testing.assert_allclose(boxes, [[0, 0, 12 * 60 / 40, 20 * 40 / 60]], rtol=1e-6)
    assert rows(data.evaluate("test")[0], 0)[1][0] == [8, 4, 28, 36]


AUGMENTED = {
    "flip": True, "flip_vertical": True, "scale": 0.4, "shift": 0.3, "background": 0,
    "min_visible": 0.001,
}  # fmt: skip


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("in_memory_mb", [100, 0])
def test_augmented_boxes_lie_around_the_pixels_of_their_objects(tmp_path, fit, in_memory_mb):
    """An object is as many pixels wide and high as its box, which begins and ends where it does."""
    data = DetectionImages(
        **write_voc(tmp_path), **SMALL | {"image_size": (90, 120)}, **AUGMENTED, fit=fit,
        in_memory_mb=in_memory_mb,
    )  # fmt: skip
    met, sizes, mirrored = 0, set(), set()
    for batch in in_threads(data.train(1), 0, 40):
        for i, image in enumerate(batch["inputs"]):
            names, boxes = rows(batch, i)
            assert len({*names}) == len(names)  # one object of a colour in these images
            for name, (x0, y0, x1, y1) in zip(names, boxes, strict=True):
                shown = image[..., np.argmax(COLOURS[name])] > 0.5
                columns, lines = np.flatnonzero(shown.any(0)), np.flatnonzero(shown.any(1))
                if min(x1 - x0, y1 - y0) < 2 or not len(columns):
                    continue
                edges = columns[0], lines[0], columns[-1] + 1, lines[-1] + 1
                np.testing.assert_allclose((x0, y0, x1, y1), edges, atol=1.5)
                met += 1
                sizes.add(round(x1 - x0))
            if {*names} == {"cat", "dog"}:  # the dog is to the right of the cat and below
                cat, dog = (np.array(boxes[names.index(k)]) for k in ("cat", "dog"))
                mirrored.add(tuple((dog - cat)[:2] > 0))
    assert met > 60 and len(sizes) > 15 and len(mirrored) == 4


def test_scale_and_shift_keep_to_their_ranges(tmp_path):
    data = DetectionImages(
        **write_table(tmp_path), **SMALL, scale=0.2, shift=0.1, min_visible=0.001, background=0
    )
    widths, middles = [], []
    for i in range(400):
        batch = data.train(0)[i]
        for k in range(2):
            names, boxes = rows(batch, k)
            if "cat" in names:
                x0, y0, x1, y1 = boxes[names.index("cat")]
                widths.append((x1 - x0, y1 - y0))
                # the middle of the image is at (30, 20), that of the cat at (20, 15)
                zoom = (x1 - x0) / 20
                middles.append(((x0 + x1) / 2 - 30 + 10 * zoom, (y0 + y1) / 2 - 20 + 5 * zoom))
    low, high = np.min(widths, 0), np.max(widths, 0)
    np.testing.assert_allclose(low, 16, atol=0.5)
    np.testing.assert_allclose(high, 24, atol=0.5)
    np.testing.assert_allclose(np.min(middles, 0), [-6, -4], atol=0.8)
    np.testing.assert_allclose(np.max(middles, 0), [6, 4], atol=0.8)


class Fixed:
    """A generator of numbers by which an image moves all the way to the right."""

    def uniform(self, low, high, size):
        return np.array([0.0, 0.0, 1.0])


@pytest.mark.parametrize(("min_visible", "left"), [(0.5, 1), (0.1, 2)])
def test_a_box_that_is_cut_off_is_left_out(min_visible, left):
    """60 wide, the image moves by 18: of the dog from 40 to 60, a tenth stays."""
    example = Example(picture("a"), np.array([0, 1]), np.array([box for _, box in SCENES["a"][1]]))
    moved = Frame((40, 60), "letterbox", 0).jittered(example, Fixed(), 0.2, 0.3, min_visible)
    assert moved.label.tolist() == [0, 1][:left]
    np.testing.assert_allclose(moved.boxes, [[28, 5, 48, 25], [58, 20, 60, 40]][:left])
    assert (
        np.array_equal(moved.image[:, 18:], picture("a")[:, :-18]) and not moved.image[:, :18].any()
    )


def test_a_batch_is_a_function_of_seed_and_step(tmp_path):
    data = DetectionImages(**write_voc(tmp_path), **SMALL, **AUGMENTED, exposure=1.5)
    first = [data.train(3)[i] for i in range(6)]
    forget()
    for i, batch in enumerate(in_threads(data.train(3), 0, 6)):
        assert all(np.array_equal(batch[k], first[i][k]) for k in batch)
    others = data.train(4)[0]["inputs"], first[1]["inputs"]
    assert all(not np.array_equal(first[0]["inputs"], other) for other in others)


def test_memory_and_threads_give_the_same_pixels(tmp_path):
    fields = write_voc(tmp_path) | SMALL | AUGMENTED | {"image_size": (24, 32), "exposure": 1.5}
    held = DetectionImages(**fields)
    for in_memory_mb in (100, 0):
        read = DetectionImages(**fields, in_memory_mb=in_memory_mb)
        for i in range(4):
            a, b = held.train(0)[i], read.train(0)[i]
            assert all(np.array_equal(a[k], b[k]) for k in a)
        assert np.array_equal(
            held.evaluate("test")[0]["inputs"], read.evaluate("test")[0]["inputs"]
        )
        assert held.metadata()["mean"] == read.metadata()["mean"]


def test_difficult_objects_are_not_trained_on_and_marked_in_an_evaluation(tmp_path):
    data = DetectionImages(**write_voc(tmp_path, difficult="cat"), **SMALL)
    assert data.metadata()["difficult"] == {"train": 1, "validation": 0, "test": 2}
    assert data.evaluate("train")[0]["difficult"].tolist() == [[1, 0, 0], [0, 0, 0]]
    assert data.evaluate("test")[0]["difficult"][0].tolist() == [0, 1, 1]
    names = [name for i in range(2) for k in range(2) for name in rows(data.train(0)[i], k)[0]]
    assert sorted(names) == ["dog"] * 4


def test_the_validation_images_may_be_trained_on(tmp_path):
    data = DetectionImages(**write_voc(tmp_path), **SMALL, trainval=True)
    assert data.splits() == ("test",) and data.metadata()["images"] == {"train": 3, "test": 1}


def test_a_share_is_held_out_where_there_are_no_lists(tmp_path):
    write_pictures(tmp_path)
    for name in SCENES:
        (tmp_path / f"{name}.xml").write_text(xml(name, filename=f"{name}.jpg"))
    data = DetectionImages(path=str(tmp_path), validation=0.25, **SMALL)
    assert data.metadata()["images"] == {"validation": 1, "train": 3}
    total = data.metadata()["objects"]
    assert total["train"] + total["validation"] == 6
    assert DetectionImages(path=str(tmp_path), validation=0, **SMALL).splits() == ()


def test_the_mean_is_that_of_the_pixels(tmp_path):
    fields = write_voc(tmp_path) | SMALL | {"normalise": "standard", "image_size": (60, 60)}
    metadata = DetectionImages(**fields).metadata()
    pixels = np.concatenate([picture(name).reshape(-1, 3) for name in "ab"]) / 255
    np.testing.assert_allclose(metadata["mean"], pixels.mean(0))
    np.testing.assert_allclose(metadata["std"][:2], pixels.std(0)[:2])
    given = DetectionImages(**fields, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.5))
    assert given.metadata()["pixel_offset"] == [-2, -2, -1]


def test_the_digest_changes_with_a_box_a_class_and_a_pixel(tmp_path):
    def digest():
        forget()
        return DetectionImages(**fields, **SMALL).metadata()["digest"]

    fields = write_table(tmp_path)
    digests, table = {digest()}, tmp_path / "boxes.csv"
    table.write_text(table.read_text().replace("10,5,30,25", "10,5,30,26"))
    digests.add(digest())
    table.write_text(table.read_text().replace("40,dog", "40,owl"))
    digests.add(digest())
    image = np.array(Image.open(tmp_path / "images" / "a.png"))
    image[0, 0] = 9
    Image.fromarray(image).save(tmp_path / "images" / "a.png")
    digests.add(digest())
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"scale": 1.0}, "scale must be at least 0 and below 1, got 1.0"),
        ({"exposure": 0.5}, "exposure must be at least 1, got 0.5"),
        ({"image_size": (0, 5)}, r"image_size must be a height and a width of at least 1, got \(0"),
        ({"image_size": (8,)}, r"image_size must be a height and a width .*, got \(8,\)"),
        ({"fit": "crop"}, "fit must be one of letterbox, stretch, got crop"),
        ({"normalise": "lecun"}, "normalise must be one of standard, unit, signed, got lecun"),
        ({"std": (1.0, 0.0, 1.0)}, "std must be above 0"),
        ({"classes": ("a", "a")}, "classes must be different names"),
        ({"images": "x"}, "images needs annotations, COCO's JSON"),
        ({"test_annotations": "x.json"}, "test_annotations needs annotations, those to train on"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        DetectionImages(**fields)


def test_what_is_known_without_the_data():
    data = DetectionImages(batch_size=4, image_size=(64, 96), max_boxes=7, classes=("a", "b"))
    assert data.spec().arrays["boxes"] == ((4, 7, 4), np.dtype(np.float32))
    assert data.spec().metadata == {"num_classes": 2, "class_names": ["a", "b"]}
    with pytest.raises(UserError, match=r"there are no images: give path \(a folder"):
        data.metadata()


def test_its_metadata_name_no_other_field_of_a_detector(tmp_path):
    fields = {f.name for model in (YOLO, FasterRCNN) for f in dataclasses.fields(model)}
    assert fields & DetectionImages(**write_voc(tmp_path)).metadata().keys() == {"num_classes"}


def test_more_objects_than_there_is_room_for_are_refused(tmp_path):
    data = DetectionImages(**write_voc(tmp_path), max_boxes=2)
    where = tmp_path / "Annotations" / "d.xml"
    with pytest.raises(UserError, match=f"max_boxes must be at least 3, .* of {where}, .* got 2"):
        data.metadata()


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_an_image_of_ones_own_is_read_as_in_an_evaluation(tmp_path, fit):
    data = DetectionImages(**write_table(tmp_path), **SMALL, fit=fit)
    for split, names in (("train", "ab"), ("test", "d")):
        batch = data.evaluate(split)[0]
        for i, name in enumerate(names):
            found, source = data.load_input(tmp_path / "images" / f"{name}.png", data.metadata())
            np.testing.assert_array_equal(found["inputs"], batch["inputs"][i : i + 1])
            np.testing.assert_array_equal(source["image"], picture(name))
            boxes = np.array([corners for _, corners in SCENES[name][1]], float).reshape(-1, 2, 2)
            there = boxes @ source["matrix"][:2, :2].T + source["matrix"][:2, 2]
            _, want = rows(batch, i)
            np.testing.assert_allclose(there.reshape(-1, 4), want, rtol=1e-6)


def test_a_set_without_any_object_has_room_for_one(tmp_path):
    fields = write_voc(tmp_path)
    for split in ("train", "val", "test"):
        (tmp_path / "ImageSets" / "Main" / f"{split}.txt").write_text("c\n")
    data = DetectionImages(**fields, **SMALL | {"batch_size": 1})
    assert data.train(0)[0]["targets"].tolist() == [[-1]]
    assert data.metadata()["max_boxes"] == 1
