"""Images and masks of files: a folder of images and masks, or the form of Pascal VOC."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.data import image_files
from nets.data.class_colours import ClassTable, Colour
from nets.errors import UserError

_FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
_MASKS = ("labels", "masks")


class Pair(NamedTuple):
    """The files of an image and its mask."""

    image: Path
    mask: Path


def pairs(path: str) -> dict[str, tuple[Pair, ...]]:
    """The images and masks of a folder by split; "train" is always there.

    The folder has JPEGImages, SegmentationClass and ImageSets/Segmentation, as Pascal VOC, or
    images and labels (or masks), in itself or below train, val (or validation) and test. A mask is
    a PNG file of its image's name.

    Raises:
        UserError: it has none of these forms, an image has no mask, a mask beside images has no
            image, or a list names a missing one.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UserError(f"={path}: no such folder.", "path")
    if (root / "SegmentationClass").is_dir():
        return _voc(root)
    splits = {
        split: root / name
        for split, names in _FOLDERS.items()
        for name in names
        if (root / name / "images").is_dir()
    }
    if not splits and (root / "images").is_dir():
        splits = {"train": root}
    if "train" not in splits:
        has = ", ".join(sorted(p.name for p in root.iterdir() if p.is_dir())[:8]) or "none"
        raise UserError(
            f"={path} has no folder train/images, images, or SegmentationClass (Pascal VOC); its "
            f"folders: {has}.",
            "path",
        )
    return {split: _beside(folder) for split, folder in splits.items()}


def _beside(folder: Path) -> tuple[Pair, ...]:
    masks = next((folder / name for name in _MASKS if (folder / name).is_dir()), None)
    if masks is None:
        raise UserError(f"{folder} has images, but no folder {' or '.join(_MASKS)}.")
    images = sorted(
        p for p in (folder / "images").iterdir() if p.suffix.lower() in image_files.SUFFIXES
    )
    if not images:
        raise UserError(
            f"{folder / 'images'} has no image files ({' '.join(image_files.SUFFIXES)})."
        )
    pairs = tuple(_pair(image, masks) for image in images)
    if others := sorted(set(masks.glob("*.png")) - {pair.mask for pair in pairs}):
        raise UserError(f"{others[0]} has no image of its name in {folder / 'images'}.")
    return pairs


def _voc(root: Path) -> dict[str, tuple[Pair, ...]]:
    """The lists train, val and test; the last where it is there with masks (VOC 2007)."""
    by_split: dict[str, tuple[Pair, ...]] = {}
    for split, listed in (("train", "train"), ("validation", "val"), ("test", "test")):
        list_file = root / "ImageSets" / "Segmentation" / f"{listed}.txt"
        if not list_file.is_file():
            if split == "train":
                raise UserError(f"{root} has SegmentationClass, but no {list_file}.")
            continue
        names = list_file.read_text().split()
        masks = root / "SegmentationClass"
        if split == "test" and not any((masks / f"{name}.png").is_file() for name in names):
            continue
        images = [root / "JPEGImages" / f"{name}.jpg" for name in names]
        if absent := [image for image in images if not image.is_file()]:
            raise UserError(f"{list_file} names {absent[0].stem}, and there is no {absent[0]}.")
        if not images:
            raise UserError(f"{list_file} names no images.")
        by_split[split] = tuple(_pair(image, masks) for image in images)
    return by_split


def _pair(image: Path, masks: Path) -> Pair:
    mask = masks / f"{image.stem}.png"
    if not mask.is_file():
        raise UserError(f"{image} has no mask {mask}.")
    return Pair(image, mask)


def read_image(file: Path, grey: bool) -> np.ndarray:
    """The image [H, W, C] uint8, C being 1 or 3."""
    mode = "L" if grey else "RGB"
    image = image_files.read_image(file, lambda picture: np.asarray(picture.convert(mode)))
    return image.reshape(*image.shape[:2], 1 if grey else 3)


def image_size(file: Path) -> tuple[int, int]:
    """Height and width of an image, from the head of its file."""
    return image_files.read_image(file, lambda picture: picture.size[::-1])


def read_mask(file: Path, table: ClassTable | None) -> np.ndarray:
    """The ids [H, W] uint8 of a mask: its grey levels, the indices of its palette, or the rows of
    the table that have its colours.

    Raises:
        UserError: it is a mask of colours without a table, or has a colour that is not in it.
    """
    mode, pixels = image_files.read_image(file, _stored)
    if mode in ("1", "L", "P"):
        return pixels.astype(np.uint8)
    if mode not in ("RGB", "RGBA"):
        raise UserError(f"{file} is of PIL's mode {mode}; ids (L, P) or colours (RGB) are valid.")
    if table is None:
        raise UserError(
            f"{file} has colours, not ids of classes: give class_table, a file of them."
        )
    keys = _key(pixels)
    known = _key(np.array(table.colours))
    order = np.argsort(known)
    at = np.searchsorted(known, keys, sorter=order).clip(0, len(order) - 1)
    ids = order[at]
    unknown = known[ids] != keys
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        colour = tuple(pixels[row, column, :3].tolist())
        raise UserError(
            f"{file} has the colour {colour} at row {row}, column {column}, and the class table "
            "has not."
        )
    return ids.astype(np.uint8)


def palette(file: Path) -> tuple[Colour, ...] | None:
    """The colours of a mask's palette by id, as far as it goes; None where it has none."""
    colours = image_files.read_image(
        file, lambda picture: picture.getpalette() if picture.mode == "P" else None
    )
    if colours is None:
        return None
    return tuple(tuple(row) for row in np.reshape(colours, (-1, 3)).tolist())


def _stored(picture: Any) -> tuple[str, np.ndarray]:
    return picture.mode, np.asarray(picture)


def _key(colours: np.ndarray) -> np.ndarray:
    """One integer for each colour [..., 3 or 4]; the fourth, opacity, counts for nothing."""
    red, green, blue = np.moveaxis(colours[..., :3].astype(np.int64), -1, 0)
    return (red << 16) | (green << 8) | blue
