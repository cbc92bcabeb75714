"""Captioned images that cannot be read, or are not what they should be: one clear line."""

import functools

import pytest

from nets.data.captions import Captions
from nets.errors import UserError
from tests.support import image_sets
from tests.support.caption_files import SAID, SMALL, coco, existing, lines, write_files, write_tfds

BAD_JSON = "is not COCO's JSON of captions: images with id"


@pytest.fixture
def files(tmp_path):
    return functools.partial(write_files, tmp_path)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda said: coco(said)[:-9], "captions.gz is not complete JSON: "),
        (lambda said: '{"images": []}', BAD_JSON),
        (lambda said: coco(said).replace('"image_id": 7', '"image_id": 6'), BAD_JSON),
        (lambda said: coco(said).replace("caption", "bbox"), BAD_JSON),
        (lambda said: coco(said).replace('"A red square."', "5"), BAD_JSON),
        (lambda said: coco({}), "captions.gz has no captions"),
        (lambda said: "", "captions.gz has no captions"),
        (
            lambda said: "image,caption\n",
            "captions.gz is not COCO's JSON, and its line 1 is not an",
        ),
        (lambda said: lines(said) + "x.png\ta sky\n", "its line 7 is not an image's name, #, a"),
        (
            lambda said: coco(said | {"red.png": ["?!"]}),
            "captions.gz has an empty caption, or none, of red.png",
        ),
        (
            lambda said: lines(said | {"red.png": [""]}),
            "captions.gz has an empty caption, or none, of red.png",
        ),
        (
            lambda said: coco(said | {"sun.png": ["a sun"], "sky.png": ["a sky"]}),
            "captions.gz names sky.png and 1 more, not in images=",
        ),
        (lambda said: lines({"sun.png": ["a sun"]}), "captions.gz names sun.png, not in im"),
    ],
)
def test_files_of_another_form_are_refused(files, form, message):
    with pytest.raises(UserError, match=message) as error:
        files(form).metadata()
    assert "captions=" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("in_memory_mb", [100, 0])
def test_a_damaged_image_is_named(files, tmp_path, in_memory_mb):
    files()
    path = tmp_path / "images" / "green.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="green.png cannot be read as an image"):
        existing(tmp_path, in_memory_mb=in_memory_mb).train(0)[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give images .* and captions .*, or a name"),
        (
            {"validation_images": "a", "validation_captions": "b"},
            "captions \\(a file\\)\\.$",
        ),
        ({"images": "a"}, "images needs captions, which belongs to it"),
        (
            {"name": "coco_captions", "test_images": "a", "test_captions": "b"},
            r"captions \(a file\)\.$",
        ),
        (
            {"images": "a", "captions": "b", "test_captions": "c"},
            "test_captions needs test_images",
        ),
        ({"images": "nowhere", "captions": "b"}, "images=nowhere is no folder"),
        ({"images": ".", "captions": "nowhere"}, "captions=nowhere cannot be read: No such"),
        ({"name": "cococaptions"}, "no data set 'cococaptions'. Did you mean coco_captions"),
        ({"per_image": 0}, "per_image must be at least 1, got 0"),
        ({"image_size": 64, "short_side": 63}, "short_side must be at least 64, got 63"),
    ],
)
def test_impossible_values_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        Captions(**given).metadata()


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"val": SAID}, "'captioned/1.0.0' has no split train; it has val"),
        (
            {"train": {"red.png": []}},
            "captioned/1.0.0 train has an empty caption, or none, of image 0",
        ),
        (
            {"train": {"red.png": ["a", "!"]}},
            "captioned/1.0.0 train has an empty caption, or none, of image 0",
        ),
    ],
)
def test_sets_without_training_captions_are_refused(tmp_path, splits, message):
    with pytest.raises(UserError, match=message):
        Captions(**write_tfds(tmp_path, splits=splits)).metadata()


def test_sets_of_another_kind_are_refused(tmp_path):
    image_sets.write_tfds(tmp_path)
    with pytest.raises(
        UserError, match="'tinted/1.0.0' has no captioned images; it holds image, l"
    ):
        Captions(name="tinted", data_dir=str(tmp_path)).metadata()
    with pytest.raises(UserError, match="has no split test; it has validation"):
        Captions(**write_tfds(tmp_path) | SMALL).evaluate("test")
