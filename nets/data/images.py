"""Image classification: batches from the embedded digits, TFDS, an .npz file or a folder."""

import dataclasses
import functools
import math
import os
from typing import Any, Literal, NamedTuple

import grain
import numpy as np

from nets.data import augment, cache, files, sources, tfds
from nets.data.sources import ImageSet
from nets.errors import UserError

ENDLESS = 1 << 40
RANGES = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0), "lecun": (-0.1, 1.175)}
_AUGMENT = 1  # tells the generator of a step's augmentation from that of an epoch's order
_SAMPLE = 4096  # images that stand for a set too large to be read through


@dataclasses.dataclass(frozen=True)
class Images:
    """Any set of labelled images.

    Batches hold "image" [B, H, W, C] float32 and "label" [B] int32; those of an evaluation also
    "mask" [B] float32. Every image is met exactly once an epoch, in an order drawn anew for each.

    Attributes:
        name: "digits" (embedded: 1,797 handwritten digits, 8x8), or any image-classification set
            of TFDS that is prepared as array_record ("mnist", "cifar10", "emnist/letters").
        data_dir: folder of the TFDS sets; none is TFDS's own, ~/tensorflow_datasets.
        path: an .npz file with x_train, y_train, x_test, y_test, or a folder of class subfolders
            (itself, or below train, validation and test); is taken instead of `name`.
        batch_size: images in a training batch.
        eval_batch_size: images in a batch of an evaluation.
        image_size: side in pixels that the middle square of each image is resized to; none
            leaves images as they are stored.
        validation: share of the training images that is held out where the set has no
            validation split of its own.
        normalise: "standard" takes off the mean and divides by the standard deviation of the
            training images, channel by channel; the others map black and white to 0 and 1
            ("unit"), -1 and 1 ("signed"), -0.1 and 1.175 ("lecun", as LeNet-5 of 1998).
        pad_crop: pixels by which training images are padded before a random crop to their size.
        flip: whether training images are mirrored left to right half of the time.
        rotate: greatest random rotation of training images, in degrees.
        shift: greatest random shift of training images along each axis, in pixels.
        scale: greatest random enlargement or reduction of training images, as a share.
        background: pixel value, 0 to 255, of what augmentation brings in from outside.
        in_memory_mb: size in MB above which a set is not held in memory but decoded in threads
            ahead of the step.
    """

    name: str = "digits"
    data_dir: str | None = None
    path: str | None = None
    batch_size: int = 128
    eval_batch_size: int = 256
    image_size: int | None = None
    validation: float = 0.1
    normalise: Literal["standard", "unit", "signed", "lecun"] = "standard"
    pad_crop: int = 0
    flip: bool = False
    rotate: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    background: int = 0
    in_memory_mb: int = 1024

    def __post_init__(self):
        least = {"batch_size": 1, "eval_batch_size": 1, "image_size": 1, "pad_crop": 0, "rotate": 0}
        least |= {"shift": 0, "scale": 0, "validation": 0, "background": 0, "in_memory_mb": 0}
        for field, low in least.items():
            value = getattr(self, field)
            if value is not None and not (value >= low and math.isfinite(value)):
                raise UserError(f"--data.{field}={value} is not possible; {low} is the least.")
        for field in ("validation", "scale"):
            if getattr(self, field) >= 1:
                raise UserError(
                    f"--data.{field}={getattr(self, field)} is not possible; it lies below 1."
                )
        if self.background > 255:
            raise UserError(f"--data.background={self.background} is not in 0 to 255.")
        if self.normalise != "standard" and self.normalise not in RANGES:
            raise UserError(
                f"--data.normalise={self.normalise}: valid are standard, {', '.join(RANGES)}."
            )

    def train(self, seed: int) -> grain.MapDataset:
        """The training batches; element i is the batch of step i.

        Raises:
            UserError: there are fewer training images than a batch holds.
        """
        source, (split, rows) = self._source(), self._rows("train")
        if self.batch_size > len(rows):
            raise UserError(
                f"--data.batch_size={self.batch_size}, but {source.name} has {len(rows)} training "
                f"images; {len(rows)} is the most."
            )
        factor, offset = self._normalisation()

        def batch(i: int) -> dict[str, np.ndarray]:
            positions = int(i) * self.batch_size + np.arange(self.batch_size)
            images, labels = source.read(split, rows[shuffled(seed, len(rows), positions)])
            images = self._augment(images, np.random.default_rng((seed, int(i), _AUGMENT)))
            return {"image": _normalise(images, factor, offset), "label": labels}

        return grain.MapDataset.range(ENDLESS).map(batch)

    def evaluate(self, split: str) -> grain.MapDataset:
        """All images of "validation" or "test" in their stored order; the last batch is padded."""
        if split not in self.splits():
            raise UserError(
                f"{self._source().name} has no split {split}; it has "
                f"{', '.join(self.splits()) or 'none to evaluate on'}."
            )
        source, (stored, rows) = self._source(), self._rows(split)
        factor, offset = self._normalisation()

        def batch(i: int) -> dict[str, np.ndarray]:
            positions = int(i) * self.eval_batch_size + np.arange(self.eval_batch_size)
            real = positions < len(rows)
            images, labels = source.read(stored, rows[np.where(real, positions, 0)])
            return {
                "image": _normalise(images, factor, offset),
                "label": labels,
                "mask": real.astype(np.float32),
            }

        return grain.MapDataset.range(-(-len(rows) // self.eval_batch_size)).map(batch)

    def splits(self) -> tuple[str, ...]:
        sizes = self._source().sizes
        held_out = self.validation > 0 or "validation" in sizes
        return ("validation",) * held_out + ("test",) * ("test" in sizes)

    def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        shape, _ = self._outline()
        return {
            "image": ((self.batch_size, *shape), np.dtype(np.float32)),
            "label": ((self.batch_size,), np.dtype(np.int32)),
        }

    def classes(self) -> tuple[str, ...]:
        """The names of the classes; like `spec`, known of a TFDS set that is not prepared too."""
        return self._outline()[1]

    def facts(self) -> dict[str, Any]:
        """num_classes, class_names, digest, sizes by split, and per channel the mean and the
        standard deviation of the training images, black being 0 and white 1 (of a set not held in
        memory, those of 4,096 evenly spaced images)."""
        source = self._source()
        mean, std = _statistics(self._where(), self.validation)
        return {
            "num_classes": len(source.class_names),
            "class_names": list(source.class_names),
            "digest": source.digest,
            "sizes": {split: len(self._rows(split)[1]) for split in ("train", *self.splits())},
            "mean": mean.tolist(),
            "std": std.tolist(),
        }

    @property
    def read_threads(self) -> int:
        """Threads that making batches keeps busy."""
        return 1 if self._source().stamp is None else min(16, os.cpu_count() or 1)

    def _where(self) -> "_Where":
        return _Where(self.name, self.data_dir, self.path, self.image_size, self.in_memory_mb)

    def _source(self) -> ImageSet:
        return _open(self._where())

    def _rows(self, split: str) -> tuple[str, np.ndarray]:
        return _partition(self._where(), self.validation)[split]

    def _outline(self) -> tuple[tuple[int, int, int], tuple[str, ...]]:
        if self.path is None and self.name != "digits":
            return _outline(self.name, self.data_dir, self.image_size)
        source = self._source()
        return source.shape, source.class_names

    def _normalisation(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and offset [C] that take pixels 0..255 to normalised values."""
        if self.normalise == "standard":
            mean, std = _statistics(self._where(), self.validation)
            factor, offset = 1 / (255 * std), -mean / std
        else:
            low, high = RANGES[self.normalise]
            factor, offset = np.array([(high - low) / 255]), np.array([low])
        return factor.astype(np.float32), offset.astype(np.float32)

    def _augment(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.flip:
            images = augment.flip(images, rng)
        if self.pad_crop:
            images = augment.pad_crop(images, rng, self.pad_crop, self.background)
        if self.rotate or self.shift or self.scale:
            images = augment.affine(
                images, rng, self.rotate, self.shift, self.scale, self.background
            )
        return images


def shuffled(seed: int, n: int, positions: np.ndarray) -> np.ndarray:
    """What stands at `positions` of the endless sequence of permutations of range(n)."""
    epochs, within = np.divmod(positions, n)
    found = np.empty_like(positions)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        found[here] = _permutation(seed, int(epoch), n)[within[here]]
    return found


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n)


class _Where(NamedTuple):
    """What decides which images are read, and how."""

    name: str
    data_dir: str | None
    path: str | None
    image_size: int | None
    in_memory_mb: int


@functools.lru_cache(maxsize=2)
def _open(where: _Where) -> ImageSet:
    if where.path is not None:
        source = files.open_path(where.path, where.image_size)
    elif where.name == "digits":
        source = sources.digits(where.image_size)
    else:
        source = tfds.image_set(where.name, where.data_dir, where.image_size)
    on_disk = source.stamp is not None
    return sources.hold(source) if on_disk and source.nbytes <= where.in_memory_mb * 1e6 else source


@functools.lru_cache(maxsize=2)
def _outline(
    name: str, data_dir: str | None, image_size: int | None
) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    return tfds.image_outline(tfds.open_builder(name, data_dir), image_size)[:2]


@functools.lru_cache(maxsize=2)
def _partition(where: _Where, validation: float) -> dict[str, tuple[str, np.ndarray]]:
    """By split: the stored split that it comes from, and which of that one's images it has."""
    sizes = _open(where).sizes
    parts = {split: (split, np.arange(n)) for split, n in sizes.items()}
    if "validation" not in sizes and validation > 0:
        order = np.random.default_rng(0).permutation(sizes["train"])
        held_out = max(1, round(validation * len(order)))
        parts["validation"] = "train", np.sort(order[:held_out])
        parts["train"] = "train", np.sort(order[held_out:])
    return parts


@functools.lru_cache(maxsize=2)
def _statistics(where: _Where, validation: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [C] of the training images, in 0..1.

    Those of a set not held in memory are kept in the user's cache directory.
    """
    source, (split, rows) = _open(where), _partition(where, validation)["train"]

    def make() -> dict[str, np.ndarray]:
        """How many pixels of each channel have each of the 256 levels, [C, 256]."""
        step = 1 if source.stamp is None else max(1, len(rows) // _SAMPLE)
        sample, channels = rows[::step], range(source.shape[-1])
        counts = np.zeros((source.shape[-1], 256), np.int64)
        for part in np.array_split(sample, len(sample) // 1024 + 1):
            images, _ = source.read(split, part)
            counts += [np.bincount(images[..., c].ravel(), minlength=256) for c in channels]
        return {"counts": counts}

    if source.stamp is None:
        counts = make()["counts"]
    else:
        stamp = f"{source.stamp} {validation}"
        counts = cache.arrays(f"{source.name}-levels", stamp, make)["counts"]
    share, level = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = (share * level).sum(1)
    variance = (share * (level - mean[:, None]) ** 2).sum(1)
    return mean, np.sqrt(np.maximum(variance, 255.0**-2))  # at least one level: 1/std is finite


def _normalise(images: np.ndarray, factor: np.ndarray, offset: np.ndarray) -> np.ndarray:
    out = np.multiply(images, factor, dtype=np.float32)
    out += offset
    return out
