"""Opens image sets and keeps them open: their splits, mean and standard deviation."""

import functools
from typing import NamedTuple

import numpy as np

from nets.data import cache, image_files, image_source, normalisation, tfds
from nets.data.image_source import ImageSet
from nets.errors import UserError

SAMPLE = 4096
"""Images that stand for a set too large to be read through."""


class ImageSource(NamedTuple):
    """Which images are read, and how."""

    name: str
    data_dir: str | None
    path: str | None
    image_size: int | None
    in_memory_mb: int
    decode_full_size: bool  # for a crop that differs each time


class Draw(NamedTuple):
    """How many images of a split are drawn at random; None means all. And the seed of the draw."""

    train_size: int | None = None
    test_size: int | None = None
    seed: int = 0


ALL = Draw()


@functools.lru_cache(maxsize=2)
def open_set(where: ImageSource) -> ImageSet:
    """The set, in memory where it is small enough; decoded at full size, only arrays are."""
    if where.path is not None:
        source = image_files.open_path(where.path, where.image_size, where.decode_full_size)
    elif where.name == "digits":
        source = image_source.digits(None if where.decode_full_size else where.image_size)
    else:
        source = tfds.image_set(where.name, where.data_dir, where.image_size)
    small = source.nbytes <= where.in_memory_mb * 1e6
    fits_in_memory = source.stamp is not None and small and not where.decode_full_size
    return image_source.load_into_memory(source) if fits_in_memory else source


@functools.lru_cache(maxsize=2)
def shape_and_classes(
    name: str, data_dir: str | None, image_size: int | None
) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """Shape of an image and class names of a TFDS set, prepared or not."""
    return tfds.image_spec(tfds.open_builder(name, data_dir), image_size)[:2]


_PUBLISHED = {"imagenet2012": 1_281_167, "cifar10": 50_000, "cifar100": 50_000}
"""Training images of sets that an experiment is shown of without their data (Russakovsky et al.
2015, table 2; Krizhevsky 2009)."""


def published_size(name: str, validation: float) -> int | None:
    """Training images of a TFDS set that may not be prepared; None where it is not known here."""
    if name not in _PUBLISHED:
        return None
    total = _PUBLISHED[name]
    return total if name == "imagenet2012" else total - _held_out(total, validation)


def _held_out(total: int, validation: float) -> int:
    return max(1, round(validation * total)) if validation > 0 else 0


@functools.lru_cache(maxsize=2)
def partition(
    where: ImageSource, validation: float, draw: Draw = ALL
) -> dict[str, tuple[str, np.ndarray]]:
    """By split: the stored split that it comes from, and which of that one's images it has.

    Raises:
        UserError: more are to be drawn than there are.
    """
    sizes = open_set(where).sizes
    parts = {split: (split, np.arange(n)) for split, n in sizes.items()}
    if "validation" not in sizes and validation > 0:
        order = np.random.default_rng(0).permutation(sizes["train"])
        held_out = _held_out(len(order), validation)
        parts["validation"] = "train", np.sort(order[:held_out])
        parts["train"] = "train", np.sort(order[held_out:])
    for i, split in enumerate(("train", "test")):
        size = draw[i]
        if size is None or split not in parts:
            continue
        stored, rows = parts[split]
        if size > len(rows):
            raise UserError(
                f"must be at most {len(rows)}, the {split} images of {open_set(where).name}, "
                f"got {size}.",
                f"{split}_size",
            )
        chosen = np.random.default_rng((draw.seed, i)).choice(rows, size, replace=False)
        parts[split] = stored, np.sort(chosen)
    return parts


@functools.lru_cache(maxsize=2)
def statistics(
    where: ImageSource, validation: float, draw: Draw = ALL
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [C] of the training images, in 0..1.

    Those of a set not held in memory are kept in the user's cache directory.
    """
    source, (split, rows) = open_set(where), partition(where, validation, draw)["train"]

    def make() -> dict[str, np.ndarray]:
        """The number of pixels of each channel at each of the 256 levels, [C, 256]."""
        step = 1 if source.stamp is None else max(1, len(rows) // SAMPLE)
        sample = rows[::step]
        counts = np.zeros((source.shape[-1], 256), np.int64)
        for part in np.array_split(sample, len(sample) // 1024 + 1):
            images, _ = source.read(split, part)
            counts += normalisation.levels(images)
        return {"counts": counts}

    if source.stamp is None:
        counts = make()["counts"]
    else:
        stamp = f"{source.stamp} {validation}" + (f" {draw}" if draw.train_size else "")
        counts = cache.arrays(f"{source.name}-levels", stamp, make)["counts"]
    return normalisation.mean_and_deviation(counts)
