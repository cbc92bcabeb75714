"""Photographs with boxes in COCO's JSON, and in sets of TFDS."""

import io
import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.data import cache, corpora, image_source, tfds
from nets.data.annotations import Size
from nets.data.caption_files import stored
from nets.data.detection_source import Box, Listed, Listing, decode_file
from nets.errors import UserError, about

_AT_ONCE = 256  # records
_DIFFICULT = ("is_difficult", "is_crowd")
_PUBLISHED = {"voc/2007": (2501, 2510), "voc/2012": (5717, 5823), "coco/2017": (118_287, 5000)}
"""Training and validation images of sets that an experiment is shown of without their data."""


class Files(NamedTuple):
    """A file of COCO's annotations, the folder of its images, and how the file was given."""

    annotations: Path
    images: Path
    setting: str


def from_coco(files: dict[str, Files]) -> Listing:
    """Images and objects of COCO's JSON by split: images, annotations, categories.

    A box is x, y, width and height in pixels, an object of iscrowd 1 is difficult, and the classes
    are the categories of the training file by their id.

    Raises:
        UserError: a file cannot be read or is not so, or an image is missing.
    """
    images, class_names = {}, ()
    for split in files:
        images[split], names = _coco(files[split])
        class_names = names if split == "train" else class_names
    stats = [(one.image.as_posix(), one.image.stat()) for part in images.values() for one in part]
    stamp = image_source.fingerprint("", stats)[1]
    name = files["train"].images.resolve().name
    return Listing(name, images, class_names, decode_file, stamp)


def _coco(files: Files) -> tuple[list[Listed], tuple[str, ...]]:
    path, setting = files.annotations, files.setting
    text = corpora.read(path, setting)
    try:
        table = json.loads(text)
        names = {row["id"]: str(row["name"]) for row in table["categories"]}
        boxes: dict[Any, list[Box]] = {row["id"]: [] for row in table["images"]}
        for number, row in enumerate(table["annotations"], 1):
            if row["image_id"] not in boxes:
                raise about(
                    setting,
                    f"has annotation number {number} with image_id {row['image_id']}, the id of "
                    "none of its images.",
                )
            x, y, width, height = map(float, row["bbox"])
            box = Box(
                names.get(row["category_id"], f"category {row['category_id']}"),
                (x, y, x + width, y + height),
                bool(row.get("iscrowd", 0)),
                f"x {x:g}, y {y:g}, width {width:g}, height {height:g}",
            )
            boxes[row["image_id"]].append(box)
        images = [
            (
                row["id"],
                files.images / row["file_name"],
                _listed_size(row),
            )
            for row in table["images"]
        ]
    except json.JSONDecodeError as error:
        raise about(setting, f"is not complete JSON: {error}.") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise about(
            setting,
            "is not COCO's JSON of boxes: images with id and file_name, categories with id and "
            "name, annotations with the image_id of one image, a category_id and a bbox of x, y, "
            f"width, height ({reason}).",
        ) from error
    if absent := [image.name for _, image, _ in images if not image.is_file()]:
        more = f" and {len(absent) - 1:,} more" if len(absent) > 1 else ""
        raise about(setting, f"names {absent[0]}{more}, not in {files.images}.")
    listed = [
        Listed(f"{path}: {image.name}", image, size, boxes[key]) for key, image, size in images
    ]
    return listed, tuple(names[key] for key in sorted(names))


def _listed_size(image: dict[str, Any]) -> Size | None:
    """Height and width, where an image of a JSON says both."""
    height, width = (int(image.get(side) or 0) for side in ("height", "width"))
    return (height, width) if height > 0 and width > 0 else None


def classes_of(name: str, data_dir: str | None) -> tuple[str, ...]:
    """The class names of a set of TFDS, prepared or not.

    Raises:
        UserError: there is no such set, or its records have no objects.
    """
    return tuple(_objects(tfds.open_builder(name, data_dir))["label"].names)


def published(name: str, trainval: bool) -> dict[str, int]:
    """train_examples of a set of TFDS, where it is known without the data; else nothing."""
    if name not in _PUBLISHED:
        return {}
    train, validation = _PUBLISHED[name]
    return {"train_examples": train + (validation if trainval else 0)}


def _objects(builder: Any) -> Any:
    """The features of an object of a set's records."""
    fields = dict(builder.info.features)
    each = getattr(fields.get("objects"), "feature", {})
    if not ("image" in fields and "bbox" in each and "label" in each):
        raise UserError(
            f"'{builder.info.full_name}' has no boxes of objects; it holds "
            f"{', '.join(sorted(fields))}."
        )
    return each


def from_tfds(name: str, data_dir: str | None, trainval: bool) -> Listing:
    """A set of TFDS whose records have an image and objects with bbox and label ("voc", "coco").

    Objects of is_difficult or is_crowd are difficult. Boxes are read once and kept in the user's
    cache directory. A split without any object (a test split whose answers are kept back) is left
    out.

    Raises:
        UserError: it is not prepared, cannot be read, or has other records.
    """
    builder = tfds.prepared(name, data_dir)
    each, full_name = _objects(builder), builder.info.full_name
    splits, names = stored(builder), tuple(each["label"].names)
    flag = next((key for key in _DIFFICULT if key in each), None)
    shards = [
        Path(path)
        for stored_name in splits.values()
        for path in builder.info.splits[stored_name].filepaths
    ]
    stats = [(path.name, path.stat()) for path in shards]
    _, stamp = image_source.fingerprint(full_name, stats)

    def make() -> dict[str, np.ndarray]:
        arrays = {}
        for split, stored_name in splits.items():
            read = tfds.reader(builder, stored_name, without=("image",))
            every = range(builder.info.splits[stored_name].num_examples)
            blocks = (read(every[i : i + _AT_ONCE]) for i in every[::_AT_ONCE])
            sizes, counts, boxes = [], [], [np.zeros((0, 6))]
            for record in itertools.chain.from_iterable(blocks):
                height, width = _size(record["image"])
                objects = record["objects"]
                corners = np.asarray(objects["bbox"], float).reshape(-1, 4)[:, [1, 0, 3, 2]]
                difficult = objects[flag] if flag else np.zeros(len(corners))
                columns = np.stack([objects["label"], difficult], -1).reshape(-1, 2)
                boxes.append(np.hstack([corners * np.array([width, height] * 2), columns]))
                sizes.append((height, width))
                counts.append(len(corners))
            arrays[f"{split}_sizes"], arrays[f"{split}_counts"] = np.array(sizes), np.array(counts)
            arrays[f"{split}_boxes"] = np.concatenate(boxes)
        return arrays

    arrays = cache.arrays(f"{full_name}-boxes", stamp, make)
    images: dict[str, list[Listed]] = {}
    for split, stored_name in splits.items():
        rows = arrays[f"{split}_boxes"]
        if split != "train" and not len(rows):
            continue
        parts = np.split(rows, np.cumsum(arrays[f"{split}_counts"])[:-1])
        images[split] = [
            Listed(
                f"image {k} of split {stored_name} of '{full_name}'",
                (stored_name, k),
                tuple(size.tolist()),
                [_box(row, names) for row in part],
            )
            for k, (size, part) in enumerate(zip(arrays[f"{split}_sizes"], parts, strict=True))
        ]
    if trainval:
        images["train"] += images.pop("validation", [])
    readers = {part: tfds.reader(builder, part) for part in splits.values()}

    def decode(image: tuple[str, int]) -> np.ndarray:
        pixels = readers[image[0]]([image[1]])[0]["image"]
        return np.repeat(pixels, 3, -1) if pixels.shape[-1] == 1 else pixels

    return Listing(full_name, images, names, decode, stamp)


def _box(row: np.ndarray, names: tuple[str, ...]) -> Box:
    k = int(row[4])
    name = names[k] if 0 <= k < len(names) else f"number {k}"
    return Box(name, tuple(row[:4].tolist()), bool(row[5]))


def _size(encoded: bytes) -> tuple[int, int]:
    """Height and width of an image, of which only the header is read."""
    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as picture:
        return picture.height, picture.width
