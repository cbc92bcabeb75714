"""Small captioned images that tests write: as a folder with a file, and as TFDS files."""

import collections
import gzip
import json

import numpy as np
from PIL import Image

from nets.data import captions
from nets.data.captions import Captions
from tests.support.image_sets import FEATURES, image_feature, png, write_prepared

SAID = {  # three training images: of one, two and three captions
    "red.png": ["A red square."],
    "green.png": ["a GREEN square", "It's a square; a green one"],
    "blue.png": ["a blue square", "a tall well-painted square", "sky?"],
}
VALIDATION = {"grey.png": ["a grey square on a blue square, a red square and more squares"]}
SPLITS = {"train": SAID, "val": VALIDATION, "restval": SAID}
SMALL = {"image_size": 8, "min_count": 2, "per_image": 2, "batch_size": 3, "eval_batch_size": 2}


def picture(name):
    """A wide picture of the name's colour, white at both ends."""
    pixels = np.full((10, 16, 3), 255, np.uint8)
    pixels[:, 2:14] = {"red.png": (200, 0, 0), "green.png": (0, 200, 0), "blue.png": (0, 0, 200),
                       "grey.png": (99, 99, 99)}[name]  # fmt: skip
    return pixels


def coco(by_image, shift=7):
    """COCO's JSON: annotations of the images one after the other, out of their order."""
    names = list(by_image)
    annotations = [
        {"image_id": shift + k, "id": 1, "caption": text}
        for k in reversed(range(len(names)))
        for text in by_image[names[k]]
    ]
    images = [{"id": shift + k, "file_name": name} for k, name in enumerate([*names, "none.png"])]
    return json.dumps({"info": {}, "images": images, "annotations": annotations})


def lines(by_image):
    return "".join(
        f"{n}#{k}\t{text}\n" for n, texts in by_image.items() for k, text in enumerate(texts)
    )


def write_files(root, form=coco, train=SAID, **more):
    """The sets above as folders of images and packed files of captions, opened."""
    captions._corpus.cache_clear()
    options = {}
    for prefix, by_image in (("", train), ("validation_", VALIDATION)):
        folder = root / f"{prefix}images"
        folder.mkdir(exist_ok=True)
        for name in by_image:
            Image.fromarray(picture(name)).save(folder / name)
        path = root / f"{prefix}captions.gz"
        path.write_bytes(gzip.compress(form(by_image).encode()))
        options |= {f"{prefix}images": str(folder), f"{prefix}captions": str(path)}
    return Captions(**options | SMALL | more)


def existing(root, **more):
    """The training set that `write_files` has written."""
    captions._corpus.cache_clear()
    options = {"images": str(root / "images"), "captions": str(root / "captions.gz")}
    return Captions(**options | SMALL | more)


def write_tfds(root, name="captioned", splits=SPLITS, pack=png):
    """The sets above as COCO's captions are prepared by TFDS."""
    from tensorflow_datasets.proto import tf_example_pb2

    records = collections.defaultdict(list)
    for split, by_image in splits.items():
        for file, texts in by_image.items():
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
