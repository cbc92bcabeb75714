"""Captioned images: the words and pixels of files that the tests write."""

import collections
import functools
import os

import numpy as np
import pytest
from PIL import Image

from nets.data import caption_files, captions, crops
from nets.data.captions import Captions
from nets.data.shapes import Shapes
from nets.errors import UserError
from tests.support.caption_files import (
    SAID,
    SMALL,
    coco,
    existing,
    lines,
    picture,
    png,
    write_files,
    write_tfds,
)  # fmt: skip
from tests.support.image_sets import in_threads


@pytest.fixture(autouse=True)
def forgotten():
    captions._corpus.cache_clear()


@pytest.fixture
def files(tmp_path):
    return functools.partial(write_files, tmp_path)


def words(metadata, ids):
    return " ".join(metadata["vocabulary"][i] for i in ids if i)


def known(metadata, text):
    """A caption's words, those that the vocabulary lacks as the unknown, by hand."""
    bare = text.lower().translate(str.maketrans("", "", ".,;?")).split()
    return " ".join(word if word in metadata["vocabulary"] else "<unk>" for word in bare)


@pytest.mark.parametrize("form", [coco, lines, None])
@pytest.mark.parametrize("in_memory_mb", [100, 0])
def test_batches_hold_what_the_files_do(files, tmp_path, form, in_memory_mb):
    more = {"in_memory_mb": in_memory_mb}
    data = Captions(**write_tfds(tmp_path) | SMALL | more) if form is None else files(form, **more)
    metadata = data.metadata()
    # of the words below, those that are there twice at least, by their frequency and the alphabet
    assert metadata["vocabulary"] == ["", "<unk>", "a", "square", "green"]
    assert metadata["vocab_size"] == 5 and metadata["sizes"] == {"train": 3, "validation": 1}
    assert metadata["captions"] == {"train": 6, "validation": 1} and not any(
        metadata["long"].values()
    )
    assert metadata["unknown"] == {"train": 7, "validation": 7}
    by_colour = {picture(name)[0, 8].tobytes(): texts for name, texts in SAID.items()}
    met = collections.defaultdict(set)
    for i, batch in enumerate(in_threads(data.train(0), 0, 12)):
        again = data.train(0)[i]
        assert all(np.array_equal(a, again[k]) for k, a in batch.items())
        assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec().arrays
        for image, said, lengths in zip(*batch.values(), strict=True):
            assert (image == image[0, 0]).all()  # nothing of the white margin
            texts = by_colour[image[0, 0].tobytes()]
            shown = [words(metadata, ids) for ids in said]
            assert set(shown) <= {known(metadata, text) for text in texts}
            assert len(set(shown)) == min(2, len({known(metadata, text) for text in texts}))
            assert [len(text.split()) for text in shown] == lengths.tolist()
            met[image[0, 0].tobytes()] |= set(shown)
        assert len({image.tobytes() for image in batch["inputs"]}) == 3  # an epoch each
    for colour, texts in by_colour.items():
        assert met[colour] == {known(metadata, text) for text in texts}
    orders = {data.train(0)[i]["inputs"].tobytes() for i in range(9)}
    assert 1 < len(orders) <= 6  # three images
    first, second = (
        [
            sorted(zip(*(a.tolist() for a in data.train(seed)[i].values()), strict=True))
            for i in range(4)
        ]
        for seed in (0, 1)
    )
    assert first != second and data.read_threads == (1 if in_memory_mb else min(16, os.cpu_count()))


def test_an_evaluation_has_all_images_in_their_order(files):
    data = files()
    assert data.splits() == ("validation",) and len(data.evaluate("validation")) == 1
    batch, metadata = data.evaluate("validation")[0], data.metadata()
    assert batch["mask"].tolist() == [1, 0] and batch["mask"].dtype == np.float32
    assert (batch["inputs"][0] == 99).all()
    assert [words(metadata, ids) for ids in batch["targets"][0]] == 2 * [
        "a <unk> square <unk> a <unk> square a <unk> square <unk> <unk> <unk>"
    ]
    said = {name: ["one"] for name in ("red.png", "grey.png", "green.png")}
    data = files(train=said | {"grey.png": ["two three", "four", "five"]}, min_count=1)
    metadata = data.metadata()
    names = {k: word for k, word in enumerate(metadata["vocabulary"])}
    assert names == {0: "", 1: "<unk>", 2: "one", 3: "five", 4: "four", 5: "three", 6: "two"}


def test_captions_are_repeated_or_the_first_in_an_evaluation(files, tmp_path):
    images, said = files().images, files().captions
    whole = existing(tmp_path, min_count=1, test_images=images, test_captions=said)
    assert whole.splits() == ("test",)
    metadata = whole.metadata()
    batches = list(whole.evaluate("test"))
    assert [batch["mask"].tolist() for batch in batches] == [[1, 1], [1, 0]]
    shown = [[words(metadata, ids) for ids in said] for b in batches for said in b["targets"]][:3]
    # COCO's captions come last image first
    references = [
        ["a blue square", "a tall well-painted square", "sky"],
        ["a green square", "it's a square a green one"],
        ["a red square"],
    ]
    assert shown == [references[0][:2], references[1], 2 * references[2]]


def test_long_captions_are_left_out_of_training_and_cut_in_an_evaluation(files):
    long = "a long road and a wide river"
    data = files(train=SAID | {"red.png": [long], "blue.png": ["blue", long]}, max_length=5)
    metadata = data.metadata()
    assert metadata["sizes"] == {"train": 2, "validation": 1}
    assert metadata["captions"] == {"train": 5, "validation": 1}
    assert metadata["long"] == {"train": 3, "validation": 1}
    # "it's a square a green one" is too long, too; words of what is left out are not counted
    assert metadata["vocabulary"] == ["", "<unk>"]
    one = files(lines, train=SAID | {"red.png": [long], "blue.png": ["blue", long]}, max_length=5,
                batch_size=1, min_count=1)  # fmt: skip
    for i in range(4):
        batch = one.train(0)[i]
        said = words(one.metadata(), batch["targets"][0, 0])
        assert batch["inputs"][0, 0, 0].argmax() == {"a green square": 1, "blue": 2}[said]
    with pytest.raises(UserError, match="batch_size must be at most 2, .* at most 5 words, got 3"):
        data.train(0)
    metadata = files(max_length=3).metadata()
    assert metadata["long"] == {"train": 2, "validation": 1} and metadata["sizes"]["train"] == 3
    data = files(max_length=5, batch_size=2)
    assert data.metadata()["vocabulary"] == ["", "<unk>", "a", "square"]
    ids, lengths = (data.evaluate("validation")[0][k][0, 0] for k in ("targets", "caption_lengths"))
    assert words(data.metadata(), ids) == "a <unk> square <unk> a" and lengths == 5 and ids[5] == 0


def test_fields_are_those_of_shapes_where_they_are_shared(files):
    ours, theirs = files().spec().arrays, Shapes().spec().arrays
    for name, (shape, dtype) in ours.items():
        assert dtype == theirs[name][1] and len(shape) == len(theirs[name][0])


@pytest.mark.parametrize("form", [lines, None])
def test_the_shorter_side_is_resized_first(files, tmp_path, form):
    """Images that are kept in the cache directory are those of this size."""
    stored = np.random.default_rng(0).integers(0, 256, (10, 16, 3), dtype=np.uint8)
    if form is None:
        given = write_tfds(tmp_path, pack=lambda image: png(stored)) | SMALL
    else:
        fields = ("images", "captions", "validation_images", "validation_captions")
        given = {field: getattr(files(form), field) for field in fields} | SMALL
        Image.fromarray(stored).save(tmp_path / "validation_images" / "grey.png")
    for side, box in ((None, (3, 0, 13, 10)), (16, (5.5, 2.5, 10.5, 7.5)), (8, (3, 0, 13, 10))):
        image = Captions(**given, short_side=side).evaluate("validation")[0]["inputs"][0]
        np.testing.assert_array_equal(image, crops.resize(stored, box, (8, 8)))


def test_a_digest_is_that_of_images_and_captions(files, tmp_path):
    files(train=SAID | {"red.png": ["A green square."]})
    said = existing(tmp_path).metadata()["digest"]
    files()
    one, same = (existing(tmp_path).metadata()["digest"] for _ in range(2))
    Image.fromarray(picture("blue.png")).save(tmp_path / "images" / "red.png")
    seen = existing(tmp_path).metadata()["digest"]
    assert one == same and len({one, said, seen}) == 3


def test_coco_needs_no_tensorflow_where_it_is_prepared(tmp_path, capfd):
    """The code of TFDS that describes it does."""
    given = {"name": "coco_captions", "data_dir": str(tmp_path)}
    with pytest.raises(UserError, match="data set 'coco_captions'.* prepare it once, .*_prepare"):
        Captions(**given).metadata()
    write_tfds(tmp_path, "coco_captions/2014")
    batch = Captions(**given | SMALL).evaluate("validation")[0]
    assert (batch["inputs"] == 99).all()
    assert capfd.readouterr() == ("", "")


def test_captions_of_tfds_are_read_without_their_images(tmp_path, monkeypatch):
    monkeypatch.setattr(caption_files, "_AT_ONCE", 2)
    given = write_tfds(tmp_path, pack=lambda image: png(image)[:40])
    data = Captions(**given | SMALL, in_memory_mb=0)
    assert data.metadata()["captions"] == {"train": 6, "validation": 1}
    with pytest.raises(UserError, match="cannot read split train of 'captioned/1.0.0'"):
        data.train(0)[0]
