"""Opens sets of images with masks and keeps them open: splits, checks, pixels of each class."""

import functools
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nets.data import cache, class_colours, image_source, normalisation, segmentation_files
from nets.data.annotations import Example
from nets.data.class_colours import ClassTable, Colour
from nets.data.segmentation_files import Pair
from nets.errors import UserError

VOID = 255  # in masks of a set; in those of a batch it is -1
SAMPLE = 4096
"""Images that stand for a set too large to be read through."""


class SegmentationSource(NamedTuple):
    """Which images are read, and how: fields of `nets.data.segmentation.SegmentationImages`."""

    path: str | None
    classes: tuple[str, ...] | None
    class_table: str | None
    void: tuple[int, ...]
    grey: bool
    validation: float
    in_memory_mb: int


class SegmentationSet(NamedTuple):
    """Images with masks by split.

    Attributes:
        name: what it is called in messages and in the cache.
        class_names: class k is called class_names[k].
        class_colours: by class.
        files: by split.
        sizes: by split, height and width of each image, [N, 2].
        pixels: by split, the pixels of each class in each image, [N, K].
        read: (split, index) -> image [H, W, C] uint8 with its mask [H, W] uint8, VOID where it is
            void; thread-safe.
        digest: of the content; of the names and sizes of the files where `stamp` is not None.
        stamp: changes with the files; None for what is held in memory.
    """

    name: str
    class_names: tuple[str, ...]
    class_colours: tuple[Colour, ...]
    files: dict[str, tuple[Pair, ...]]
    sizes: dict[str, np.ndarray]
    pixels: dict[str, np.ndarray]
    read: Callable[[str, int], Example]
    digest: str
    stamp: str | None


@functools.lru_cache(maxsize=2)
def open_set(source: SegmentationSource) -> SegmentationSet:
    """The set, all of its masks checked, in memory where it is small enough.

    Raises:
        UserError: a mask or an image is missing, all training masks are void, or a mask is of
            another size than its image, or has an id or a colour that is none of a class; or what
            `nets.data.segmentation_files` says.
    """
    if source.path is None:
        raise UserError("must be given: a folder of images and masks.", "path")
    files, table = segmentation_files.pairs(source.path), class_table(source)
    folder = Path(source.path).expanduser()
    root = folder.resolve()
    every = [file for pairs in files.values() for pair in pairs for file in pair]
    stats = ((file.relative_to(folder).as_posix(), file.stat()) for file in every)
    digest, changes = image_source.fingerprint(f"{source.grey} {table}", stats)
    counts = cache.arrays(
        f"{root.name}-masks", f"{root} {changes}", functools.partial(_scan, files, table)
    )
    if not np.delete(counts["train_ids"].sum(0), list(source.void)).any():
        void = ",".join(map(str, source.void))
        raise UserError(f"={void}: all pixels of all training masks are void.", "void")
    present = sum(counts[f"{split}_ids"].sum(0) for split in files)
    ids, names = _classes(source, table, present)
    for split, pairs in files.items():
        _check_ids(pairs, counts[f"{split}_ids"], ids, names, source.void)
    number = np.full(256, VOID, np.uint8)
    number[ids] = np.arange(len(ids))

    def read(split: str, k: int) -> Example:
        pair = opened.files[split][k]
        image = segmentation_files.read_image(pair.image, source.grey)
        return Example(image, masks=number[segmentation_files.read_mask(pair.mask, table)])

    parts = {split: (split, np.arange(len(pairs))) for split, pairs in files.items()}
    if "validation" not in files and source.validation > 0:
        order = np.random.default_rng(0).permutation(len(files["train"]))
        held_out = max(1, round(source.validation * len(order)))
        parts["validation"] = "train", np.sort(order[:held_out])
        parts["train"] = "train", np.sort(order[held_out:])
    opened = SegmentationSet(
        root.name, names, _colours(files["train"][0].mask, ids, table),
        {split: tuple(files[s][k] for k in rows) for split, (s, rows) in parts.items()},
        {split: counts[f"{s}_size"][rows] for split, (s, rows) in parts.items()},
        {split: counts[f"{s}_ids"][rows][:, ids] for split, (s, rows) in parts.items()},
        read,
        hashlib.blake2b(f"{digest} {names} {source.void}".encode(), digest_size=16).hexdigest(),
        f"{root} {changes} {names} {source.void} {source.validation}",
    )  # fmt: skip
    channels = 1 if source.grey else 3
    nbytes = (channels + 1) * sum(sizes.prod(1).sum() for sizes in opened.sizes.values())
    return _in_memory(opened, channels) if nbytes <= source.in_memory_mb * 1e6 else opened


def class_table(source: SegmentationSource) -> ClassTable | None:
    """The table of the classes, where a file of them is given."""
    return None if source.class_table is None else class_colours.read(source.class_table)


def _scan(files: dict[str, tuple[Pair, ...]], table: ClassTable | None) -> dict[str, np.ndarray]:
    """By split the pixels of each id in each mask, [N, 256], and height and width, [N, 2]."""

    def one(pair: Pair) -> tuple[np.ndarray, tuple[int, int]]:
        mask = segmentation_files.read_mask(pair.mask, table)
        size = segmentation_files.image_size(pair.image)
        if mask.shape != size:
            raise UserError(
                f"{pair.mask} is {mask.shape[1]}x{mask.shape[0]} and its image {pair.image} is "
                f"{size[1]}x{size[0]}."
            )
        return np.bincount(mask.reshape(-1), minlength=256), size

    arrays = {}
    with ThreadPoolExecutor() as pool:
        for split, pairs in files.items():
            counts, sizes = zip(*pool.map(one, pairs), strict=True)
            arrays[f"{split}_ids"], arrays[f"{split}_size"] = np.stack(counts), np.array(sizes)
    return arrays


def named_classes(
    source: SegmentationSource, table: ClassTable | None
) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Ids and names of the classes by their numbers; None where only the masks tell them."""
    if table is not None:
        ids = [k for k in range(len(table.names)) if k not in source.void]
        return np.array(ids), tuple(table.names[k] for k in ids)
    if source.classes is not None:
        ids = [k for k in range(256) if k not in source.void][: len(source.classes)]
        return np.array(ids), source.classes
    return None


def _classes(
    source: SegmentationSource, table: ClassTable | None, counts: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Ids and names of the classes; without names those up to the highest id of a mask."""
    if (named := named_classes(source, table)) is not None:
        return named
    present = [k for k in np.flatnonzero(counts) if k not in source.void]
    ids = [k for k in range(max(present) + 1) if k not in source.void]
    return np.array(ids), tuple(map(str, ids))


def _check_ids(
    pairs: tuple[Pair, ...],
    counts: np.ndarray,
    ids: np.ndarray,
    names: tuple[str, ...],
    void: tuple[int, ...],
) -> None:
    unknown = np.ones(256, bool)
    unknown[[*ids, *void]] = False
    rows, columns = np.nonzero(counts * unknown)
    if len(rows):
        raise UserError(
            f"{pairs[rows[0]].mask} has the class id {columns[0]}; the {len(names)} classes have "
            f"{ids[0]} to {ids[-1]}, void is {', '.join(map(str, void)) or 'none'}."
        )


def _colours(mask: Path, ids: np.ndarray, table: ClassTable | None) -> tuple[Colour, ...]:
    """Those of the table, of the palette of the first mask, or the default."""
    known = table.colours if table is not None else segmentation_files.palette(mask)
    if known is None or len(known) <= ids[-1]:
        return class_colours.default(len(ids))
    colours = tuple(known[k] for k in ids)
    greys = all(len(set(colour)) == 1 for colour in colours)  # what PIL writes without a palette
    return class_colours.default(len(ids)) if greys else colours


def _in_memory(opened: SegmentationSet, channels: int) -> SegmentationSet:
    """The set read into memory: decoded once, later read from the user's cache directory."""

    def make() -> dict[str, np.ndarray]:
        arrays = {}
        with ThreadPoolExecutor() as pool:
            for split, pairs in opened.files.items():
                read = functools.partial(opened.read, split)
                examples = list(pool.map(read, range(len(pairs))))
                for kind, parts in (
                    ("images", [x.image for x in examples]),
                    ("masks", [x.masks for x in examples]),
                ):
                    arrays[f"{split}_{kind}"] = np.concatenate([p.reshape(-1) for p in parts])
        return arrays | {"digest": np.array(image_source.digest_of(arrays))}

    arrays = cache.arrays(f"{opened.name}-images", opened.stamp, make)
    starts = {split: np.cumsum([0, *sizes.prod(1)]) for split, sizes in opened.sizes.items()}

    def read(split: str, k: int) -> Example:
        size, (start, stop) = opened.sizes[split][k], starts[split][k : k + 2]
        image = arrays[f"{split}_images"][channels * start : channels * stop]
        mask = arrays[f"{split}_masks"][start:stop]
        return Example(image.reshape(*size, channels), masks=mask.reshape(size))

    both = f"{opened.class_names} {arrays['digest']}".encode()
    digest = hashlib.blake2b(both, digest_size=16).hexdigest()
    return opened._replace(read=read, digest=digest, stamp=None)


@functools.lru_cache(maxsize=2)
def statistics(source: SegmentationSource) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [C] of the training images, in 0..1; of a set not held in memory
    those of 4,096 evenly spaced images, kept in the user's cache directory."""
    opened = open_set(source)
    n = len(opened.files["train"])

    def make() -> dict[str, np.ndarray]:
        rows = range(0, n, 1 if opened.stamp is None else max(1, n // SAMPLE))
        return {"counts": sum(normalisation.levels(opened.read("train", k).image) for k in rows)}

    if opened.stamp is None:
        return normalisation.mean_and_deviation(make()["counts"])
    counts = cache.arrays(f"{opened.name}-levels", opened.stamp, make)["counts"]
    return normalisation.mean_and_deviation(counts)


def class_frequencies(pixels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The share [K] of each class among the pixels of the images that have it; 0 of one in none.

    Args:
        pixels: those of each class in each image, [N, K].
        sizes: height and width of the images, [N, 2].
    """
    whole = ((pixels > 0) * sizes.prod(1)[:, None]).sum(0)
    return pixels.sum(0) / np.maximum(whole, 1)


def median_frequency(frequencies: np.ndarray) -> np.ndarray:
    """Weights [K] of classes: the median of the frequencies over each; 0 where that is 0.

    Eigen and Fergus 2015, "Predicting depth, surface normals and semantic labels with a common
    multi-scale convolutional architecture", section 4.3.

        >>> median_frequency(np.array([0.5, 0.25, 0.125])).tolist()
        [0.5, 1.0, 2.0]
    """
    occur = frequencies > 0
    median = np.median(frequencies[occur])
    return np.where(occur, median / np.where(occur, frequencies, 1), 0)
