"""Small sets of images that tests write, and what they read back."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from nets.data import images, opened
from nets.data.images import Images


def forget():
    """Drops what is remembered of sets that were opened."""
    for function in (opened.open_set, opened.outline, opened.partition, opened.statistics):
        function.cache_clear()
    images._permutation.cache_clear()


def arrays(n: int = 50, test: int = 23, shape=(6, 5, 3), classes: int = 4, seed: int = 0):
    """What an .npz of random images holds."""
    rng = np.random.default_rng(seed)
    made = {}
    for split, size in (("train", n), ("test", test)):
        made[f"x_{split}"] = rng.integers(0, 256, (size, *shape), dtype=np.uint8)
        made[f"y_{split}"] = np.arange(size) % classes
    return made


def pixels(batch) -> np.ndarray:
    """The uint8 images of a batch with normalise="unit"."""
    return np.round(batch["image"] * 255).astype(np.uint8)


def everything(data: Images, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of an evaluation, without the padding."""
    found = list(data.evaluate(split))
    real = np.concatenate([b["mask"] for b in found]) > 0
    return np.concatenate([pixels(b) for b in found])[real], np.concatenate(
        [b["label"] for b in found]
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


def write_tfds(root: Path, name: str = "tinted", shape=(6, 5, 3), unlabelled: bool = False):
    """A prepared set of 20 training and 9 test images; returns images and labels by split."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_pb2

    folder = root / name / "1.0.0"
    folder.mkdir(parents=True)
    rng, made = np.random.default_rng(2), {}
    for split, n in (("train", 20), ("test", 9)):
        x, y = rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % 3
        if unlabelled and split == "test":
            y = y * 0 - 1
        made[split] = x, y
        writer = ArrayRecordWriter(
            str(folder / f"{name}-{split}.array_record-00000-of-00001"), "group_size:1"
        )
        for image, label in zip(x, y, strict=True):
            path = root / "one.png"
            Image.fromarray(image.squeeze()).save(path)
            example = tf_example_pb2.Example()
            example.features.feature["image"].bytes_list.value.append(path.read_bytes())
            example.features.feature["label"].int64_list.value.append(int(label))
            writer.write(example.SerializeToString())
        writer.close()
    module = "tensorflow_datasets.core.features"
    dimensions = {"dimensions": [str(d) for d in shape]}
    fields = {
        "image": {
            "pythonClassName": f"{module}.image_feature.Image",
            "image": {"dtype": "uint8", "shape": dimensions, "encodingFormat": "png"},
        },
        "label": {
            "pythonClassName": f"{module}.class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "3"},
        },
    }
    features = {
        "pythonClassName": f"{module}.features_dict.FeaturesDict",
        "featuresDict": {"features": fields},
    }
    info = {
        "name": name, "version": "1.0.0", "fileFormat": "array_record",
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "splits": [
            {"name": split, "numBytes": "1", "shardLengths": [str(len(y))],
             "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"}
            for split, (_, y) in made.items()
        ],
    }  # fmt: skip
    (folder / "features.json").write_text(json.dumps(features))
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "label.labels.txt").write_text("red\ngreen\nblue\n")
    return made
