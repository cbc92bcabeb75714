"""Image classification: batches from the embedded digits, TFDS, an .npz file or a folder."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from nets.data import (
    augment,
    crops,
    image_loading,
    input_images,
    normalisation,
)
from nets.data.checks import check_fits
from nets.data.dataset import Batches, Dataset, Input, Spec, padded, shuffled
from nets.data.image_source import ImageSet, Transform
from nets.errors import UserError, check_choice, check_range

_AUGMENT = 1  # tells the generator of a step's augmentation from that of an epoch's order
_CROP = 2  # from that of its crops


@dataclasses.dataclass(frozen=True)
class Images(Dataset):
    """Any set of labelled images.

    Batches hold "inputs" [B, H, W, C] float32 and "targets" [B] int32; those of an evaluation also
    "mask" [B] float32. Every image comes exactly once per epoch, in an order drawn anew for each.

    Attributes:
        name: "digits" (embedded: 1,797 handwritten digits, 8x8), or any image-classification set
            of TFDS that is prepared as array_record ("mnist", "cifar10", "emnist/letters").
        data_dir: folder of the TFDS sets. None means TFDS's own, ~/tensorflow_datasets.
        path: an .npz file with x_train, y_train, x_test, y_test, or a folder of class subfolders
            (itself, or below train, validation and test); is taken instead of `name`.
        batch_size: images in a training batch.
        eval_batch_size: images in a batch of an evaluation.
        image_size: side in pixels that the middle square of each image is resized to. None
            means as they are stored.
        crop: what of a training image becomes a square of image_size instead. "jitter": a random
            square after its shorter side is resized to a length drawn from `short_side` (VGG,
            section 3.1); "area": a random part of 8% to 100% of its area, width over height 3/4 to
            4/3 (GoogLeNet, section 6). The set is decoded anew each epoch, not held in memory.
        short_side: shortest and longest of these lengths, in pixels.
        eval_short_side: pixels that the shorter side of an image is resized to in an evaluation,
            before the middle square of image_size is cut out. None means image_size.
        validation: share of the training images that is held out where the set has no
            validation split of its own.
        train_size: training images that are drawn at random, once and for all. None means all.
        test_size: the same of the test images.
        draw: seed of these two draws, whatever the seed of the run.
        normalise: "standard" subtracts the mean and divides by the standard deviation of the
            training images, channel by channel; the others map black and white to 0 and 1
            ("unit"), -1 and 1 ("signed"), -0.1 and 1.175 ("lecun", as LeNet-5 of 1998).
        mean: of each channel, black being 0 and white 1, that "standard" subtracts. None means that
            of the training images.
        std: standard deviation of each channel, that "standard" divides by. None means that of the
            training images.
        pad_crop: pixels by which training images are padded before a random crop to their size.
        flip: whether training images are mirrored left to right half of the time.
        rotate: maximum random rotation of training images, in degrees.
        shift: maximum random shift of training images along each axis, in pixels.
        scale: maximum random enlargement or reduction of training images, as a share.
        colour_jitter: maximum change, as a share, of brightness, contrast and saturation of
            training images.
        colour_noise: standard deviation of the random change of training images along the
            principal components of colour (AlexNet, section 4.1: 0.1); for RGB only.
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
    crop: Literal["middle", "jitter", "area"] = "middle"
    short_side: tuple[int, int] = (256, 480)
    eval_short_side: int | None = None
    validation: float = 0.1
    train_size: int | None = None
    test_size: int | None = None
    draw: int = 0
    normalise: Literal["standard", "unit", "signed", "lecun"] = "standard"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    pad_crop: int = 0
    flip: bool = False
    rotate: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    colour_jitter: float = 0.0
    colour_noise: float = 0.0
    background: int = 0
    in_memory_mb: int = 1024

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "eval_batch_size", "image_size", at_least=1)
        check_range(self, "train_size", "test_size", at_least=1)
        check_range(self, "draw", at_least=0)
        check_range(self, "eval_short_side", at_least=self.image_size or 1)
        check_range(self, "pad_crop", "rotate", "shift", "colour_noise", "in_memory_mb", at_least=0)
        check_range(self, "validation", "scale", "colour_jitter", at_least=0, below=1)
        check_range(self, "background", at_least=0, at_most=255)
        check_choice(self, "crop", ("middle", "jitter", "area"))
        normalisation.check(self)
        if self._cropped() and self.image_size is None:
            raise UserError(
                f"crop={self.crop} and eval_short_side={self.eval_short_side} need image_size."
            )
        if (
            self.crop == "jitter"
            and not self.image_size <= self.short_side[0] <= self.short_side[1]
        ):
            low, high = self.short_side
            raise UserError(
                f"must rise from image_size={self.image_size} or more, got {low},{high}.",
                "short_side",
            )

    def train(self, seed: int) -> Batches:
        source, (split, rows) = self.source(), self.rows("train")
        check_fits(self, len(rows), f"training images of {source.name}")
        if self.colour_noise and source.shape[2] != 3:
            raise UserError(
                f"={self.colour_noise} is for RGB images; those of "
                f"{source.name} have channels={source.shape[2]}.",
                "colour_noise",
            )
        factor, offset = self._normalisation()

        def batch(i: int) -> dict[str, np.ndarray]:
            chosen = rows[shuffled(seed, len(rows), self.batch_size, i)]
            fit = self._fit(np.random.default_rng((seed, i, _CROP)))
            images, labels = source.read(split, chosen, fit)
            images = self._augment(images, np.random.default_rng((seed, i, _AUGMENT)))
            return {"inputs": normalisation.apply(images, factor, offset), "targets": labels}

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        """All images of "train", "validation" or "test", not augmented, in their stored order; the
        last batch is padded."""
        self.check_split(split, "train")
        source, (stored, rows) = self.source(), self.rows(split)
        factor, offset = self._normalisation()

        def batch(chosen: np.ndarray) -> dict[str, np.ndarray]:
            images, labels = source.read(stored, rows[chosen], self._fit(None))
            return {"inputs": normalisation.apply(images, factor, offset), "targets": labels}

        return padded(len(rows), self.eval_batch_size, batch)

    def splits(self) -> tuple[str, ...]:
        sizes = self.source().sizes
        held_out = self.validation > 0 or "validation" in sizes
        exist = {"validation": held_out, "test": "test" in sizes}
        return tuple(split for split, exists in exist.items() if exists)

    def spec(self) -> Spec:
        """Shapes, num_classes and class_names, known of a TFDS set that is not prepared too."""
        if self.path is None and self.name != "digits":
            source = self.name, self.data_dir, self.image_size
            shape, classes = image_loading.shape_and_classes(*source)
        else:
            shape, classes = self.source().shape, self.source().class_names
            if (side := self.image_size) is not None:
                shape = side, side, shape[2]
        arrays = {
            "inputs": ((self.batch_size, *shape), np.dtype(np.float32)),
            "targets": ((self.batch_size,), np.dtype(np.int32)),
        }
        size = self.train_size
        if size is None and self.path is None:
            size = image_loading.published_size(self.name, self.validation)
        known = {} if size is None else {"train_examples": size}
        return Spec(arrays, {"num_classes": len(classes), "class_names": list(classes)} | known)

    def metadata(self) -> dict[str, Any]:
        """num_classes, class_names, digest, train_examples, sizes by split, and per channel the
        mean and the standard deviation of the training images, black being 0 and white 1 (of a set
        not held in memory, those of 4,096 evenly spaced images), and the normalisation: a batch
        holds pixel_scale times a pixel of 0 to 255 plus pixel_offset."""
        source = self.source()
        factor, offset = (np.broadcast_to(a, source.shape[2]) for a in self._normalisation())
        mean, std = self._statistics()
        return {
            **self.spec().metadata,
            "digest": source.digest,
            "train_examples": len(self.rows("train")[1]),
            "sizes": {split: len(self.rows(split)[1]) for split in ("train", *self.splits())},
            "mean": list(mean),
            "std": list(std),
            "pixel_scale": factor.tolist(),
            "pixel_offset": offset.tolist(),
        }

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """An image of any size: its middle part, resized to that of the images of a batch."""
        (_, *size, channels), _ = self.spec().arrays["inputs"]
        share = (self.image_size or 1) / (self.eval_short_side or self.image_size or 1)
        fit = functools.partial(crops.fit_middle, size=tuple(size), share=share)
        return input_images.load(path, channels, fit, metadata)

    @property
    def read_threads(self) -> int:
        return 1 if self.source().stamp is None else min(16, os.cpu_count() or 1)

    def where(self) -> image_loading.ImageSource:
        """Which images are read, and how."""
        return image_loading.ImageSource(
            self.name,
            self.data_dir,
            self.path,
            self.image_size,
            self.in_memory_mb,
            decode_full_size=self._cropped(),
        )

    def source(self) -> ImageSet:
        """The set that is read."""
        return image_loading.open_set(self.where())

    def rows(self, split: str) -> tuple[str, np.ndarray]:
        """The stored split that a split comes from, and which of its images."""
        return image_loading.partition(self.where(), self.validation, self._draw())[split]

    def _normalisation(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and offset [C] that take pixels 0..255 to normalised values."""
        return normalisation.factor_and_offset(self.normalise, self._statistics)

    def _statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, those given before those of the data."""
        source = self.source()

        def measure() -> tuple[np.ndarray, np.ndarray]:
            return image_loading.statistics(self.where(), self.validation, self._draw())

        return normalisation.statistics(self, source.shape[2], source.name, measure)

    def _draw(self) -> image_loading.Draw:
        return image_loading.Draw(self.train_size, self.test_size, self.draw)

    def _cropped(self) -> bool:
        return self.crop != "middle" or self.eval_short_side is not None

    def _fit(self, rng: np.random.Generator | None) -> Transform | None:
        """Makes a stored example one of image_size, for an evaluation where `rng` is None. None
        means that the set does so by itself."""
        if not self._cropped():
            return None
        side = self.image_size
        box = crops.middle
        if rng is None:
            box = functools.partial(crops.middle, share=side / (self.eval_short_side or side))
        elif self.crop == "jitter":
            box = functools.partial(crops.jittered, rng, side, self.short_side)
        elif self.crop == "area":
            box = functools.partial(crops.area, rng)
        return lambda example: crops.crop(example, box(*example.image.shape[:2]), (side, side))

    def _augment(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.flip:
            images, _ = augment.flip(images, rng)
        if self.pad_crop:
            images, _ = augment.pad_crop(images, rng, self.pad_crop, self.background)
        if self.colour_jitter:
            images = augment.colour_jitter(images, rng, self.colour_jitter)
        if self.rotate or self.shift or self.scale:
            images, _ = augment.affine(
                images, rng, self.rotate, self.shift, self.scale, self.background
            )
        if self.colour_noise:
            images = augment.colour_noise(images, rng, self.colour_noise)
        return images
