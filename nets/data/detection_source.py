"""Photographs with boxes, wherever they come from, and the checks that all of them pass."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.data import image_files
from nets.data.annotations import Size
from nets.errors import UserError

SPLITS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
"""The names that a split has in files."""

TOLERANCE = 1.0
"""Pixels by which a box may pass the border of its image, where it is cut off."""


class Box(NamedTuple):
    """One object as a file has it.

    Attributes:
        name: its class.
        corners: x0, y0, x1, y1 in pixels, counted from 0.
        difficult: whether it is.
        written: its box in the numbers of the file, for messages. Empty means the corners.
    """

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool = False
    written: str = ""


class Listed(NamedTuple):
    """One image and its objects as a file lists them.

    Attributes:
        where: the file, and the place in it, that messages name.
        image: the image file, or the number of a record.
        size: height and width in pixels. None means that the image file says so.
        boxes: its objects.
    """

    where: str
    image: Any
    size: Size | None
    boxes: Sequence[Box]


class Listing(NamedTuple):
    """Images and objects by split, as files or records list them, and how an image is read.

    Attributes:
        name: what the set is called in messages and in the cache.
        images: by split ("train" is there) the images.
        class_names: those that the files name in an order of their own. None means no such order.
        decode: from `Listed.image` to [H, W, 3] uint8; thread-safe.
        stamp: changes with the files.
    """

    name: str
    images: dict[str, list[Listed]]
    class_names: tuple[str, ...] | None
    decode: Callable[[Any], np.ndarray]
    stamp: str


class Objects(NamedTuple):
    """The objects of one image.

    Attributes:
        size: height and width of the image in pixels.
        boxes: [N, 4] float32, corners x0, y0, x1, y1 in pixels.
        classes: [N] int32.
        difficult: [N] bool.
    """

    size: Size
    boxes: np.ndarray
    classes: np.ndarray
    difficult: np.ndarray

    def resized(self, size: Size) -> "Objects":
        """The objects of the image resized."""
        factors = np.array([size[1] / self.size[1], size[0] / self.size[0]] * 2, np.float32)
        return self._replace(size=size, boxes=self.boxes * factors)


def checked(image: Listed, class_names: tuple[str, ...], drop_empty: bool) -> tuple[Objects, int]:
    """The objects of an image, and how many boxes without an area were left out.

    Raises:
        UserError: a class is not among the names; a box is inverted, lies outside of the image by
            more than TOLERANCE, is not finite, or has no area and `drop_empty` is false.
    """
    height, width = size = image.size or file_size(image.image)
    boxes, classes, difficult, dropped = [], [], [], 0
    for box in image.boxes:
        if box.name not in class_names:
            names = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
            raise UserError(
                f"{image.where} has an object of class {box.name!r}; valid are {names}."
            )
        x0, y0, x1, y1 = box.corners
        numbers = box.written or ", ".join(f"{corner:g}" for corner in box.corners)
        text = f"the box {numbers} of class {box.name}"
        if not np.isfinite(box.corners).all() or x1 < x0 or y1 < y0:
            raise UserError(f"{image.where} has {text}, which is inverted or not finite.")
        if min(x0, y0) < -TOLERANCE or x1 > width + TOLERANCE or y1 > height + TOLERANCE:
            raise UserError(
                f"{image.where} has {text}, outside of its image of {width}x{height} pixels."
            )
        x0, x1 = np.clip((x0, x1), 0, width)
        y0, y1 = np.clip((y0, y1), 0, height)
        if x0 == x1 or y0 == y1:
            if not drop_empty:
                raise UserError(
                    f"{image.where} has {text}, which has no area; drop_empty=true leaves such "
                    "boxes out and counts them."
                )
            dropped += 1
            continue
        boxes.append((x0, y0, x1, y1))
        classes.append(class_names.index(box.name))
        difficult.append(box.difficult)
    objects = Objects(
        size,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int32),
        np.array(difficult, bool),
    )
    return objects, dropped


def file_size(path: Path) -> Size:
    """Height and width in pixels of an image file, of which only the header is read."""
    width, height = image_files.read_image(path, lambda picture: picture.size)
    return height, width


def decode_file(path: Path) -> np.ndarray:
    """The image [H, W, 3] uint8 of a file."""
    return image_files.read_image(path, lambda picture: np.asarray(picture.convert("RGB")))
