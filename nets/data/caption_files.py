"""Captioned images as they are stored: TFDS, or a folder of images and a file of captions."""

import itertools
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.data import cache, corpora, crops, image_files, image_source, tfds
from nets.data.annotations import Example
from nets.data.image_source import ImageSet, Transform
from nets.errors import UserError, about

WORDS = r"\w+(?:['’-]\w+)*"
"""A word of a caption in lower case; what is between words is left out."""
_STORED = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
_AT_ONCE = 256  # records


class CaptionSet(NamedTuple):
    """Images with captions by split.

    Attributes:
        images: RGB, of no classes; their labels are 0.
        texts: by split and image, its captions as `plain` has them, at least one.
    """

    images: ImageSet
    texts: dict[str, list[list[str]]]


class Square(NamedTuple):
    """Makes an example the middle square of `side` pixels of its image.

    The image's shorter side becomes `short_side` pixels first.
    """

    side: int
    short_side: int

    def __call__(self, example: Example) -> Example:
        box = crops.middle(*example.image.shape[:2], share=self.side / self.short_side)
        return crops.crop(example, box, (self.side, self.side))


class Files(NamedTuple):
    """A folder of images and a file of their captions, and how the two were given."""

    folder: Path
    captions: Path
    folder_setting: str
    setting: str


def plain(caption: str) -> str:
    """The words of a caption in lower case, a space between two."""
    return " ".join(re.findall(WORDS, caption.lower()))


def from_files(files: dict[str, Files], square: Square) -> CaptionSet:
    """Images and captions of files by split; images without a caption are left out.

    Captions are COCO's JSON, or lines of an image's name, "#" and a number, a tab and a caption, as
    Flickr8k and Flickr30k have them.

    Raises:
        UserError: a file cannot be read, has another format, no captions or an empty one, or names
            an image that is not in the folder.
    """
    paths: dict[str, list[Path]] = {}
    texts, stats = {}, []
    for split, (folder, captions, folder_setting, setting) in files.items():
        if not folder.is_dir():
            raise UserError(f"{folder_setting} is no folder.")
        captions_by_image = _parsed(corpora.read(captions, setting), setting)
        if not captions_by_image:
            raise about(setting, "has no captions.")
        if absent := [name for name in captions_by_image if not (folder / name).is_file()]:
            more = f" and {len(absent) - 1:,} more" if len(absent) > 1 else ""
            raise about(setting, f"names {absent[0]}{more}, not in {folder_setting}.")
        texts[split] = _plain(captions_by_image.items(), setting)
        paths[split] = [folder / name for name in captions_by_image]
        stats += [(name.as_posix(), (folder / name).stat()) for name in captions_by_image]

    def decoded(split: str, indices: Iterable[int]) -> list[np.ndarray]:
        return [image_files.read_image(paths[split][i], _rgb) for i in indices]

    digest, changes = image_source.fingerprint(str(square), stats)
    folders = [one.folder.resolve() for one in files.values()]
    name = files["train"].folder.resolve().name
    return CaptionSet(_images(name, decoded, texts, square, digest, f"{folders} {changes}"), texts)


def from_tfds(name: str, data_dir: str | None, square: Square) -> CaptionSet:
    """A set of TFDS that has an image and captions in each record.

    Its captions are read once and kept in the user's cache directory.

    Raises:
        UserError: it is not prepared, cannot be read, or has other records or an empty caption.
    """
    builder = tfds.prepared(name, data_dir)
    full_name, splits = builder.info.full_name, stored(builder)
    fields = dict(builder.info.features)
    if not ("image" in fields and "text" in getattr(fields.get("captions"), "feature", ())):
        raise UserError(
            f"'{full_name}' has no captioned images; it holds {', '.join(sorted(fields))}."
        )
    readers = {split: tfds.reader(builder, stored_name) for split, stored_name in splits.items()}

    def decoded(split: str, indices: Iterable[int]) -> list[np.ndarray]:
        return [record["image"] for record in readers[split](indices)]

    def make() -> dict[str, np.ndarray]:
        arrays = {}
        for split, stored_name in splits.items():
            read = tfds.reader(builder, stored_name, without=("image",))
            every = range(builder.info.splits[stored_name].num_examples)
            blocks = (read(every[i : i + _AT_ONCE]) for i in every[::_AT_ONCE])
            captions = [_texts(record) for record in itertools.chain.from_iterable(blocks)]
            texts = _plain(
                ((f"image {k}", t) for k, t in enumerate(captions)), f"{full_name} {stored_name}"
            )
            joined = "\n".join(itertools.chain(*texts)).encode()
            arrays[split] = np.frombuffer(joined, np.uint8)
            arrays[f"{split}_counts"] = np.array([len(captions) for captions in texts])
        return arrays

    shards = [
        Path(path)
        for stored_name in splits.values()
        for path in builder.info.splits[stored_name].filepaths
    ]
    stats = [(path.name, path.stat()) for path in shards]
    digest, stamp = image_source.fingerprint(f"{full_name} {square}", stats)
    _, changes = image_source.fingerprint(f"{full_name} {WORDS}", stats)
    arrays = cache.arrays(f"{full_name}-captions", changes, make)
    texts = {}
    for split in splits:
        lines = iter(arrays[split].tobytes().decode().split("\n"))
        texts[split] = [list(itertools.islice(lines, n)) for n in arrays[f"{split}_counts"]]
    return CaptionSet(_images(full_name, decoded, texts, square, digest, stamp), texts)


def stored(builder: Any) -> dict[str, str]:
    """The names of splits in a prepared set, by ours.

    Raises:
        UserError: there is none to train on.
    """
    splits = builder.info.splits
    present = {split: name for split, names in _STORED.items() for name in names if name in splits}
    if "train" not in present:
        raise UserError(
            f"'{builder.info.full_name}' has no split train; it has {', '.join(splits)}."
        )
    return present


def _images(
    name: str,
    decoded: Callable[[str, Iterable[int]], list[np.ndarray]],
    texts: dict[str, list],
    square: Square,
    digest: str,
    stamp: str,
) -> ImageSet:
    def read(
        split: str, indices: np.ndarray, fit: Transform = square
    ) -> tuple[np.ndarray, np.ndarray]:
        images = [fit(Example(image)).image for image in decoded(split, indices)]
        return np.stack(images), np.zeros(len(images), np.int32)

    sizes = {split: len(captions) for split, captions in texts.items()}
    return ImageSet(name, (square.side, square.side, 3), (), sizes, read, digest, stamp)


def _rgb(picture: Any) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


def _texts(record: dict[str, Any]) -> list[str]:
    return [text.decode() for text in record["captions"]["text"]]


def _plain(captions_by_image: Iterable[tuple[Any, list[str]]], setting: str) -> list[list[str]]:
    """The captions of each image as `plain` has them."""
    texts = []
    for name, captions in captions_by_image:
        texts.append([plain(caption) for caption in captions])
        if "" in texts[-1] or not captions:
            raise about(setting, f"has an empty caption, or none, of {name}.")
    return texts


def _parsed(text: str, setting: str) -> dict[Path, list[str]]:
    """The captions of each image that has one, by its file."""
    return (_coco if text.lstrip().startswith("{") else _lines)(text, setting)


def _coco(text: str, setting: str) -> dict[Path, list[str]]:
    try:
        table = json.loads(text)
        names = {image["id"]: Path(image["file_name"]) for image in table["images"]}
        captions: dict[Path, list[str]] = {}
        for annotation in table["annotations"]:
            captions.setdefault(names[annotation["image_id"]], []).append(
                annotation["caption"].strip()
            )
    except json.JSONDecodeError as error:
        raise about(setting, f"is not complete JSON: {error}.") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise about(
            setting,
            "is not COCO's JSON of captions: images with id and file_name, annotations "
            "with the image_id of one of these and a caption.",
        ) from error
    return captions


def _lines(text: str, setting: str) -> dict[Path, list[str]]:
    captions: dict[Path, list[str]] = {}
    for k, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"(.+)#\d+\t(.*)", line)
        if match is None:
            raise about(
                setting,
                f"is not COCO's JSON, and its line {k} is not an image's name, #, a "
                "number, a tab and a caption.",
            )
        captions.setdefault(Path(match[1]), []).append(match[2])
    return captions
