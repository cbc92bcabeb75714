"""A set of labelled images, wherever it comes from; and scikit-learn's digits."""

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from nets.data import cache, crops
from nets.data.annotations import Example

SPLITS = ("train", "validation", "test")

Transform = Callable[[Example], Example]
"""Makes an example of a stored size one of the shape that a batch has."""


class ImageSet(NamedTuple):
    """Labelled images by split.

    Attributes:
        name: what it is called in messages and in the cache.
        shape: (H, W, C) of every image.
        class_names: label k is called class_names[k].
        sizes: number of images by split; "train" is always there.
        read: (split, indices [n], fit) -> images [n, H, W, C] uint8, labels [n] int32; thread-safe.
            Where `fit` is not None the images are what it makes of them as they are stored, one
            after the other.
        digest: of the content; of the names and sizes of the files where `stamp` is not None.
        stamp: changes with the files that it is read from; None for what is held in memory.
    """

    name: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    sizes: dict[str, int]
    read: Callable[[str, np.ndarray, Transform | None], tuple[np.ndarray, np.ndarray]]
    digest: str
    stamp: str | None

    @property
    def nbytes(self) -> int:
        """Size of all images in memory."""
        return sum(self.sizes.values()) * int(np.prod(self.shape))


def from_arrays(
    name: str, class_names: tuple[str, ...], arrays: dict[str, np.ndarray], digest: str
) -> ImageSet:
    """A set held in memory, from arrays "<split>_images" [N, H, W, C] and "<split>_labels" [N]."""
    sizes = {s: len(arrays[f"{s}_labels"]) for s in SPLITS if f"{s}_labels" in arrays}

    def read(
        split: str, indices: np.ndarray, fit: Transform | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        images = arrays[f"{split}_images"][indices]
        if fit is not None:
            images = np.stack([fit(Example(image)).image for image in images])
        return images, arrays[f"{split}_labels"][indices]

    shape = arrays["train_images"].shape[1:]
    return ImageSet(name, shape, class_names, sizes, read, digest, None)


def load_into_memory(source: ImageSet) -> ImageSet:
    """The set read into memory: decoded once, later read from the user's cache directory."""

    def make() -> dict[str, np.ndarray]:
        arrays = {}
        with ThreadPoolExecutor() as pool:
            for split, n in source.sizes.items():
                images = arrays[f"{split}_images"] = np.empty((n, *source.shape), np.uint8)
                labels = arrays[f"{split}_labels"] = np.empty(n, np.int32)

                def fill(rows: np.ndarray, split=split, images=images, labels=labels) -> None:
                    images[rows], labels[rows] = source.read(split, rows)

                list(pool.map(fill, np.array_split(np.arange(n), n // 512 + 1)))
        return arrays | {"digest": np.array(digest_of(arrays))}

    arrays = cache.arrays(source.name, f"{source.stamp} {source.shape}", make)
    return from_arrays(source.name, source.class_names, arrays, str(arrays["digest"]))


def digest_of(arrays: dict[str, np.ndarray]) -> str:
    """A digest of the names, shapes, types and contents of arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.shape} {array.dtype} ".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def fingerprint(what: str, files: Iterable[tuple[str, os.stat_result]]) -> tuple[str, str]:
    """A digest of `what` and of the names and sizes of files; and a stamp, of their times too."""
    stats = list(files)
    listing = f"{what} {[(name, s.st_size) for name, s in stats]}"
    digest = hashlib.blake2b(listing.encode(), digest_size=16).hexdigest()
    return digest, f"{listing} {[s.st_mtime_ns for _, s in stats]}"


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """The middle square of an image [H, W, C] as [side, side, C] (bilinear, antialiased)."""
    if image.shape[:2] == (side, side):
        return image
    return crops.resize(image, crops.middle(*image.shape[:2]), (side, side))


def digits(image_size: int | None = None) -> ImageSet:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels (UCI; 17 grey levels, here 0 to 255).

    Image i is in the test split where i % 5 == 0 (360), in the validation split where i % 10 == 1
    (180), and in the training split otherwise (1,257).
    """

    def make() -> dict[str, np.ndarray]:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        images = np.round(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
        if image_size is not None:
            images = np.stack([resize(image, image_size) for image in images])
        i = np.arange(len(labels))
        parts = {"test": i % 5 == 0, "validation": i % 10 == 1}
        parts["train"] = ~(parts["test"] | parts["validation"])
        arrays = {}
        for split, part in parts.items():
            arrays[f"{split}_images"] = images[part]
            arrays[f"{split}_labels"] = labels[part].astype(np.int32)
        return arrays | {"digest": np.array(digest_of(arrays))}

    # kept, because importing scikit-learn takes longer than all else
    stamp = f"{importlib.metadata.version('scikit-learn')} {image_size}"
    arrays = cache.arrays("digits", stamp, make)
    return from_arrays("digits", tuple("0123456789"), arrays, str(arrays["digest"]))
