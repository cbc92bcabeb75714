"""Captioned images: the words and pixels of files that the tests write, and refusals."""

import collections
import gzip
import itertools
import json
import os

import grain
import numpy as np
import pytest
from PIL import Image

from nets.data import captions, crops
from nets.data.captions import Captions
from nets.data.shapes import Shapes
from nets.errors import UserError
from tests.data import image_sets
from tests.data.image_sets import FEATURES, image_feature, png, write_prepared

SAID = {  # three training images: of one, two and three captions
    "red.png": ["A red square."],
    "green.png": ["a GREEN square", "It's a square; a green one"],
    "blue.png": ["a blue square", "a tall well-painted square", "sky?"],
}
TRAIN = sum(SAID.values(), [])
VALIDATION = {"grey.png": ["a grey square on a blue square, a red square and more squares"]}
SMALL = {"image_size": 8, "min_count": 2, "per_image": 2, "batch_size": 3, "eval_batch_size": 2}


@pytest.fixture(autouse=True)
def forgotten():
    captions._corpus.cache_clear()


def picture(name):
    """A wide picture of the name's colour, white at both ends."""
    pixels = np.full((10, 16, 3), 255, np.uint8)
    pixels[:, 2:14] = {"red.png": (200, 0, 0), "green.png": (0, 200, 0), "blue.png": (0, 0, 200),
                       "grey.png": (99, 99, 99)}[name]  # fmt: skip
    return pixels


def coco(said, shift=7):
    """COCO's JSON: annotations of the images one after the other, out of their order."""
    names = list(said)
    annotations = [
        {"image_id": shift + k, "id": 1, "caption": text}
        for k in reversed(range(len(names)))
        for text in said[names[k]]
    ]
    images = [{"id": shift + k, "file_name": name} for k, name in enumerate([*names, "none.png"])]
    return json.dumps({"info": {}, "images": images, "annotations": annotations})


def lines(said):
    return "".join(
        f"{n}#{k}\t{text}\n" for n, texts in said.items() for k, text in enumerate(texts)
    )


@pytest.fixture
def files(tmp_path):
    """Writes the sets above and returns the fields that name them."""

    def write(form=coco, train=SAID, **more):
        captions._corpus.cache_clear()
        given = {}
        for prefix, said in (("", train), ("validation_", VALIDATION)):
            folder = tmp_path / f"{prefix}images"
            folder.mkdir(exist_ok=True)
            for name in said:
                Image.fromarray(picture(name)).save(folder / name)
            path = tmp_path / f"{prefix}captions.gz"
            path.write_bytes(gzip.compress(form(said).encode()))
            given |= {f"{prefix}images": str(folder), f"{prefix}captions": str(path)}
        return Captions(**given | SMALL | more)

    return write


def existing(tmp_path, **more):
    """The training set that `files` has written."""
    captions._corpus.cache_clear()
    given = {"images": str(tmp_path / "images"), "captions": str(tmp_path / "captions.gz")}
    return Captions(**given | SMALL | more)


def words(facts, ids):
    return " ".join(facts["vocabulary"][i] for i in ids if i)


def known(facts, text):
    """A caption's words, those that the vocabulary lacks as the unknown, by hand."""
    bare = text.lower().translate(str.maketrans("", "", ".,;?")).split()
    return " ".join(word if word in facts["vocabulary"] else "<unk>" for word in bare)


SPLITS = {"train": SAID, "val": VALIDATION, "restval": SAID}


def write_tfds(root, name="captioned", splits=SPLITS, pack=png):
    """The sets above as COCO's captions are prepared by TFDS."""
    from tensorflow_datasets.proto import tf_example_pb2

    records = collections.defaultdict(list)
    for split, said in splits.items():
        for file, texts in said.items():
            feature = (example := tf_example_pb2.Example()).features.feature
            feature["image"].bytes_list.value.append(pack(picture(file)))
            feature["captions/id"].int64_list.value.extend(range(len(texts)))
            feature["captions/text"].bytes_list.value.extend(map(str.encode, texts))
            records[split].append(example.SerializeToString())
    text = {"pythonClassName": f"{FEATURES}.text_feature.Text", "text": {}}
    number = {
        "pythonClassName": f"{FEATURES}.scalar.Scalar",
        "tensor": {"shape": {}, "dtype": "int64", "encoding": "none"},
    }
    one = {
        "pythonClassName": f"{FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {"features": {"text": text, "id": number}},
    }
    fields = {
        "image": image_feature((-1, -1, 3)),
        "captions": {
            "pythonClassName": f"{FEATURES}.sequence_feature.Sequence",
            "sequence": {"feature": one, "length": "-1"},
        },
    }
    write_prepared(root, name, fields, records)
    return {"name": name, "data_dir": str(root)}


@pytest.mark.parametrize("form", [coco, lines, None])
@pytest.mark.parametrize("in_memory_mb", [100, 0])
def test_batches_hold_what_the_files_do(files, tmp_path, form, in_memory_mb):
    more = {"in_memory_mb": in_memory_mb}
    data = Captions(**write_tfds(tmp_path) | SMALL | more) if form is None else files(form, **more)
    facts = data.facts()
    # of the words below, those that are there twice at least, by their frequency and the alphabet
    assert facts["vocabulary"] == ["", "<unk>", "a", "square", "green"]
    assert facts["vocab_size"] == 5 and facts["sizes"] == {"train": 3, "validation": 1}
    assert facts["captions"] == {"train": 6, "validation": 1} and not any(facts["long"].values())
    assert facts["unknown"] == {"train": 7, "validation": 7}
    by_colour = {picture(name)[0, 8].tobytes(): texts for name, texts in SAID.items()}
    met = collections.defaultdict(set)
    options = grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)
    ahead = itertools.islice(iter(data.train(0).to_iter_dataset(options)), 12)
    for i, batch in enumerate(ahead):
        again = data.train(0)[i]
        assert all(np.array_equal(a, again[k]) for k, a in batch.items())
        assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec()
        for image, said, lengths in zip(*batch.values(), strict=True):
            assert (image == image[0, 0]).all()  # nothing of the white margin
            texts = by_colour[image[0, 0].tobytes()]
            shown = [words(facts, ids) for ids in said]
            assert set(shown) <= {known(facts, text) for text in texts}
            assert len(set(shown)) == min(2, len({known(facts, text) for text in texts}))
            assert [len(text.split()) for text in shown] == lengths.tolist()
            met[image[0, 0].tobytes()] |= set(shown)
        assert len({image.tobytes() for image in batch["image"]}) == 3  # an epoch each
    for colour, texts in by_colour.items():
        assert met[colour] == {known(facts, text) for text in texts}
    orders = {data.train(0)[i]["image"].tobytes() for i in range(9)}
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
    batch, facts = data.evaluate("validation")[0], data.facts()
    assert batch["mask"].tolist() == [1, 0] and batch["mask"].dtype == np.float32
    assert (batch["image"][0] == 99).all()
    assert [words(facts, ids) for ids in batch["captions"][0]] == 2 * [
        "a <unk> square <unk> a <unk> square a <unk> square <unk> <unk> <unk>"
    ]
    said = {name: ["one"] for name in ("red.png", "grey.png", "green.png")}
    data = files(train=said | {"grey.png": ["two three", "four", "five"]}, min_count=1)
    facts = data.facts()
    names = {k: word for k, word in enumerate(facts["vocabulary"])}
    assert names == {0: "", 1: "<unk>", 2: "one", 3: "five", 4: "four", 5: "three", 6: "two"}


def test_captions_are_repeated_or_the_first_in_an_evaluation(files, tmp_path):
    images, said = files().images, files().captions
    whole = existing(tmp_path, min_count=1, test_images=images, test_captions=said)
    assert whole.splits() == ("test",)
    facts = whole.facts()
    batches = list(whole.evaluate("test"))
    assert [batch["mask"].tolist() for batch in batches] == [[1, 1], [1, 0]]
    shown = [[words(facts, ids) for ids in said] for b in batches for said in b["captions"]][:3]
    references = whole.references("test")
    # COCO's captions come last image first
    assert references == [
        ["a blue square", "a tall well-painted square", "sky"],
        ["a green square", "it's a square a green one"],
        ["a red square"],
    ]
    assert shown == [references[0][:2], references[1], 2 * references[2]]


def test_long_captions_are_left_out_of_training_and_cut_in_an_evaluation(files):
    long = "a long road and a wide river"
    data = files(train=SAID | {"red.png": [long], "blue.png": ["blue", long]}, max_length=5)
    facts = data.facts()
    assert facts["sizes"] == {"train": 2, "validation": 1}
    assert facts["captions"] == {"train": 5, "validation": 1}
    assert facts["long"] == {"train": 3, "validation": 1}
    # "it's a square a green one" is too long, too; words of what is left out are not counted
    assert facts["vocabulary"] == ["", "<unk>"]
    one = files(lines, train=SAID | {"red.png": [long], "blue.png": ["blue", long]}, max_length=5,
                batch_size=1, min_count=1)  # fmt: skip
    for i in range(4):
        batch = one.train(0)[i]
        said = words(one.facts(), batch["captions"][0, 0])
        assert batch["image"][0, 0, 0].argmax() == {"a green square": 1, "blue": 2}[said]
    with pytest.raises(UserError, match="batch_size=3, but there are 2 .* at most --data.max_len"):
        data.train(0)
    data = files(max_length=5, batch_size=2)
    assert data.facts()["vocabulary"] == ["", "<unk>", "a", "square"]
    ids, lengths = (
        data.evaluate("validation")[0][k][0, 0] for k in ("captions", "caption_lengths")
    )
    assert words(data.facts(), ids) == "a <unk> square <unk> a" and lengths == 5 and ids[5] == 0
    (reference,) = data.references("validation")[0]
    assert reference == "a grey square on a blue square a red square and more squares"


def test_fields_are_those_of_shapes_where_they_are_shared(files):
    ours, theirs = files().spec(), Shapes().spec()
    for name, (shape, dtype) in ours.items():
        assert dtype == theirs[name][1] and len(shape) == len(theirs[name][0])


def test_the_shorter_side_is_resized_first(files):
    data = files(short_side=16)
    stored = np.random.default_rng(0).integers(0, 256, (10, 16, 3), dtype=np.uint8)
    Image.fromarray(stored).save(f"{data.validation_images}/grey.png")
    image = data.evaluate("validation")[0]["image"][0]
    np.testing.assert_array_equal(image, crops.resize(stored, (5.5, 2.5, 10.5, 7.5), 8))


def test_a_digest_is_that_of_images_and_captions(files, tmp_path):
    one, same = files().facts()["digest"], files().facts()["digest"]
    said = files(train=SAID | {"red.png": ["A green square."]}).facts()["digest"]
    files()
    Image.fromarray(picture("blue.png")).save(tmp_path / "images" / "red.png")
    seen = existing(tmp_path).facts()["digest"]
    assert one == same and len({one, said, seen}) == 3


BAD_JSON = "is not COCO's JSON of captions: images with id"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda said: coco(said)[:-9], "captions.gz is not whole JSON: "),
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
        (lambda said: coco(said | {"red.png": ["?!"]}), "captions.gz: red.png has an empty captio"),
        (lambda said: lines(said | {"red.png": [""]}), "captions.gz: red.png has an empty captio"),
        (
            lambda said: coco(said | {"sun.png": ["a sun"], "sky.png": ["a sky"]}),
            "captions.gz names sky.png and 1 more, not in --data.images=",
        ),
        (lambda said: lines({"sun.png": ["a sun"]}), "captions.gz names sun.png, not in --data.im"),
    ],
)
def test_files_of_another_form_are_refused(files, form, message):
    with pytest.raises(UserError, match=message) as error:
        files(form).facts()
    assert "--data.captions=" in str(error.value) and "\n" not in str(error.value)


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
        ({}, "say --data.images=FOLDER and --data.captions=FILE, or --data.name=coco_captions"),
        (
            {"validation_images": "a", "validation_captions": "b"},
            "say --data.images=FOLDER and --data.captions=FILE\\.$",
        ),
        ({"images": "a"}, "--data.images needs --data.captions too"),
        (
            {"name": "coco_captions", "test_images": "a", "test_captions": "b"},
            r"say --data.images=FOLDER and --data.captions=FILE\.$",
        ),
        (
            {"images": "a", "captions": "b", "test_captions": "c"},
            "--data.test_captions needs --data.test_images",
        ),
        ({"images": "nowhere", "captions": "b"}, "--data.images=nowhere is no folder"),
        ({"images": ".", "captions": "nowhere"}, "--data.captions=nowhere cannot be read: No such"),
        ({"name": "cococaptions"}, "no data set 'cococaptions'. Did you mean coco_captions"),
        ({"per_image": 0}, "--data.per_image=0 .* 1 is the least"),
        ({"image_size": 64, "short_side": 63}, "--data.short_side=63 .* 64 is the least"),
    ],
)
def test_impossible_values_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        Captions(**given).facts()


def test_coco_needs_no_tensorflow_where_it_is_prepared(tmp_path, capfd):
    """The code of TFDS that describes it does."""
    given = {"name": "coco_captions", "data_dir": str(tmp_path)}
    with pytest.raises(UserError, match="data set 'coco_captions'.* prepare it once, .*_prepare"):
        Captions(**given).facts()
    write_tfds(tmp_path, "coco_captions/2014")
    batch = Captions(**given | SMALL).evaluate("validation")[0]
    assert (batch["image"] == 99).all()
    assert capfd.readouterr() == ("", "")


def test_captions_of_tfds_are_read_without_their_images(tmp_path):
    given = write_tfds(tmp_path, pack=lambda image: png(image)[:40])
    data = Captions(**given | SMALL, in_memory_mb=0)
    assert data.facts()["captions"] == {"train": 6, "validation": 1}
    with pytest.raises(UserError, match="cannot read split train of 'captioned/1.0.0'"):
        data.train(0)[0]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"val": SAID}, "'captioned/1.0.0' has no split train; it has val"),
        (
            {"train": {"red.png": []}},
            "captioned/1.0.0 train: image 0 has an empty caption, or none",
        ),
        (
            {"train": {"red.png": ["a", "!"]}},
            "captioned/1.0.0 train: image 0 has an empty caption, or none",
        ),
    ],
)
def test_sets_without_training_captions_are_refused(tmp_path, splits, message):
    with pytest.raises(UserError, match=message):
        Captions(**write_tfds(tmp_path, splits=splits)).facts()


def test_sets_of_another_kind_are_refused(tmp_path):
    image_sets.write_tfds(tmp_path)
    with pytest.raises(
        UserError, match="'tinted/1.0.0' has no captioned images; it holds image, l"
    ):
        Captions(name="tinted", data_dir=str(tmp_path)).facts()
    with pytest.raises(UserError, match="have no split test; they have validation"):
        Captions(**write_tfds(tmp_path) | SMALL).evaluate("test")
