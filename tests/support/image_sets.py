"""Small image sets that tests write and read."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from nets.data import dataset, detection_loading, image_loading
from nets.data.images import Images

FEATURES = "tensorflow_datasets.core.features"


def forget():
    """Clears the cache of opened sets."""
    for function in (
        image_loading.open_set,
        image_loading.shape_and_classes,
        image_loading.partition,
        image_loading.statistics,
        detection_loading.open_set,
        detection_loading.statistics,
    ):
        function.cache_clear()
    dataset._permutation.cache_clear()


def arrays(n: int = 50, test: int = 23, shape=(6, 5, 3), classes: int = 4, seed: int = 0):
    """The arrays of an .npz file of random images."""
    rng = np.random.default_rng(seed)
    made = {}
    for split, size in (("train", n), ("test", test)):
        made[f"x_{split}"] = rng.integers(0, 256, (size, *shape), dtype=np.uint8)
        made[f"y_{split}"] = np.arange(size) % classes
    return made


def in_threads(batches, start: int, stop: int) -> list:
    """Those batches, made by several threads at the same time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(batches.__getitem__, range(start, stop)))


def pixels(batch) -> np.ndarray:
    """The uint8 images of a batch with normalise="unit"."""
    return np.round(batch["inputs"] * 255).astype(np.uint8)


def everything(data: Images, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of an evaluation, without the padding."""
    batches = list(data.evaluate(split))
    real = np.concatenate([b["mask"] for b in batches]) > 0
    return np.concatenate([pixels(b) for b in batches])[real], np.concatenate(
        [b["targets"] for b in batches]
    )[real]


def write_folder(root: Path, shape=(6, 5, 3), splits=("train", "test"), classes=("cat", "dog")):
    """Ten PNG files a class and split; returns images and labels by split, in order of names."""
    rng, made = np.random.default_rng(1), {}
    for split in splits:
        x, y = [], []
        for label, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for k in range(10):
                x.append(rng.integers(0, 256, shape, dtype=np.uint8))
                y.append(label)
                Image.fromarray(x[-1].squeeze()).save(root / split / name / f"{k}.png")
        made[split] = np.stack(x), np.array(y)
    return made


def write_tfds(
    root: Path, name: str = "tinted", shape=(6, 5, 3), unlabelled: bool = False, last: int = 1
):
    """A prepared set of 20 training and 9 test images; returns images and labels by split.

    `last` is the label of the last training image.
    """
    from tensorflow_datasets.proto import tf_example_pb2

    rng, made, records = np.random.default_rng(2), {}, {}
    for split, n in (("train", 20), ("test", 9)):
        x, y = rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % 3
        if unlabelled and split == "test":
            y = y * 0 - 1
        if split == "train":
            y[-1] = last
        made[split], records[split] = (x, y), []
        for image, label in zip(x, y, strict=True):
            example = tf_example_pb2.Example()
            example.features.feature["image"].bytes_list.value.append(png(image))
            example.features.feature["label"].int64_list.value.append(int(label))
            records[split].append(example.SerializeToString())
    fields = {
        "image": image_feature(shape),
        "label": {
            "pythonClassName": f"{FEATURES}.class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "3"},
        },
    }
    keys = {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}}
    folder = write_prepared(root, name, fields, records, supervisedKeys=keys)
    (folder / "label.labels.txt").write_text("red\ngreen\nblue\n")
    return made


def png(image: np.ndarray) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(image.squeeze()).save(packed, "PNG")
    return packed.getvalue()


def image_feature(shape) -> dict:
    """How TFDS describes images; the sides of those of any size are -1."""
    return {
        "pythonClassName": f"{FEATURES}.image_feature.Image",
        "image": {
            "dtype": "uint8",
            "shape": {"dimensions": [str(d) for d in shape]},
            "encodingFormat": "png",
        },
    }


def write_prepared(root: Path, name: str, fields: dict, records: dict[str, list], **more) -> Path:
    """A prepared set of TFDS, from its features and the records of each split."""
    from array_record.python.array_record_module import ArrayRecordWriter

    name, _, config = name.partition("/")
    folder = root / name / config / "1.0.0"
    folder.mkdir(parents=True)
    for split, examples in records.items():
        path = folder / f"{name}-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for record in examples:
            writer.write(record)
        writer.close()
    features = {
        "pythonClassName": f"{FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {"features": fields},
    }
    more |= {"configName": config} if config else {}
    info = {
        "name": name, "version": "1.0.0", "fileFormat": "array_record", **more,
        "splits": [
            {"name": split, "numBytes": "1", "shardLengths": [str(len(examples))],
             "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"}
            for split, examples in records.items()
        ],
    }  # fmt: skip
    (folder / "features.json").write_text(json.dumps(features))
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder
