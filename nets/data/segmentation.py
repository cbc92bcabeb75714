"""Segmentation: images with a mask of the class of each pixel, of files in the common forms."""

import dataclasses
import os
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from nets.data import augment, input_images, normalisation, segmentation_loading
from nets.data.annotations import Example, Size
from nets.data.checks import check_fits, check_size
from nets.data.dataset import Batches, Dataset, Input, Spec, padded, shuffled
from nets.data.segmentation_frame import MaskFrame, mirrored
from nets.data.segmentation_loading import (
    VOID,
    SegmentationSet,
    SegmentationSource,
    class_frequencies,
    median_frequency,
)
from nets.errors import UserError, check_choice, check_range

_AUGMENT = 1  # tells the generator of a step's augmentation from that of an epoch's order


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationImages(Dataset):
    """Any set of images with masks.

    A batch holds, H x W being image_size, in training crop,

        inputs         [B, H, W, C] float32, RGB, or grey
        targets        [B, H, W] int32, the class of each pixel, -1 where it is void
        class_weights  [B, K] float32, the weight of each class, the same in all rows; where
                       the field class_weights is not "none"

    and in an evaluation "mask" [B] float32. Every image comes exactly once per epoch, in an order
    drawn anew for each. Masks are resized to the nearest pixel. A mask is a PNG file that holds
    ids of classes: its grey levels, or the indices of its palette; or it has colours, which a
    table of the classes turns into ids.

    Attributes:
        path: a folder of images and labels (or masks), in itself or below train, val (or
            validation) and test, each mask a PNG file of its image's name; or one in the form of
            Pascal VOC (JPEGImages, SegmentationClass, ImageSets/Segmentation).
        classes: the names of the classes in the order of their ids, which are 0, 1, ... without
            those that are void. None means those of class_table, or one for each id up to the
            highest of all masks.
        class_table: a file of names and colours in the order of the ids, void ones too:
            lines of R, G, B and a name, CSV, or JSON (`nets.data.class_colours`).
        void: ids of pixels that count for nothing.
        class_weights: "median_frequency" balances the classes in the loss: the median of the
            classes' frequencies in the training images over that of a pixel's class (Eigen and
            Fergus 2015, section 4.3). "root_median_frequency" takes the square roots of these
            weights, which balance by half.
        grey: whether images are read as grey, of one channel.
        validation: share of the training images that is held out where the set has no validation
            split of its own.
        batch_size: images in a training batch.
        eval_batch_size: images in a batch of an evaluation.
        image_size: height and width in pixels that images are resized to. None means as they are
            stored, all of one size.
        fit: how an image of another aspect ratio becomes one of image_size: "letterbox" leaves
            room, which is void, below or to the right of it; "crop" takes the middle of it.
        crop: height and width in pixels of the part of a training image, after image_size and
            scale, that is taken at random. None means image_size.
        scale: smallest and largest factor by which training images are enlarged, drawn evenly.
            What a part of an enlarged image shows is random; what is smaller leaves room.
        flip: whether training images are mirrored left to right half of the time.
        colour_jitter: maximum change, as a share, of brightness, contrast and saturation of
            training images.
        background: pixel value, 0 to 255, of what an image does not cover.
        normalise: "standard" subtracts the mean and divides by the standard deviation of the
            training images, channel by channel; the others map black and white to 0 and 1
            ("unit"), -1 and 1 ("signed").
        mean: of each channel, black being 0 and white 1, that "standard" subtracts. None means that
            of the training images.
        std: standard deviation of each channel, that "standard" divides by. None means that of the
            training images.
        in_memory_mb: size in MB above which images are not held in memory but decoded in threads
            ahead of the step.
    """

    path: str | None = None
    classes: tuple[str, ...] | None = None
    class_table: str | None = None
    void: tuple[int, ...] = (255,)
    class_weights: Literal["none", "median_frequency", "root_median_frequency"] = "none"
    grey: bool = False
    validation: float = 0.1
    batch_size: int = 16
    eval_batch_size: int = 16
    image_size: tuple[int, int] | None = None
    fit: Literal["letterbox", "crop"] = "letterbox"
    crop: tuple[int, int] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    flip: bool = False
    colour_jitter: float = 0.0
    background: int = 128
    normalise: Literal["standard", "unit", "signed"] = "standard"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    in_memory_mb: int = 1024

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "eval_batch_size", at_least=1)
        check_range(self, "validation", "colour_jitter", at_least=0, below=1)
        check_range(self, "background", at_least=0, at_most=255)
        check_range(self, "in_memory_mb", at_least=0)
        choices = ("none", "median_frequency", "root_median_frequency")
        check_choice(self, "class_weights", choices)
        check_choice(self, "fit", ("letterbox", "crop"))
        check_choice(self, "normalise", ("standard", "unit", "signed"))
        normalisation.check(self)
        check_size(self, "image_size", "crop")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise UserError(
                f"must be two factors that rise from above 0, got {self.scale}.", "scale"
            )
        if self.void and not 0 <= min(self.void) <= max(self.void) <= 255:
            raise UserError(f"must be ids from 0 to 255, got {self.void}.", "void")
        names = self.classes
        if names is not None and self.class_table is not None:
            raise UserError("must be none where class_table names the classes.", "classes")
        if names is not None and not 2 <= len(set(names)) == len(names) <= 256 - len(self.void):
            raise UserError(f"must be two or more different names, got {names}.", "classes")

    def train(self, seed: int) -> Batches:
        source = self.source()
        n = len(source.files["train"])
        check_fits(self, n, f"training images of {source.name}")
        factor, offset = self._normalisation()
        frame, more = self._frame(), self._class_weights(self.batch_size)

        def batch(i: int) -> dict[str, np.ndarray]:
            rng = np.random.default_rng((seed, i, _AUGMENT))
            rows = shuffled(seed, n, self.batch_size, i)
            examples = [self._augmented(source.read("train", k), frame, rng) for k in rows]
            images = np.stack([example.image for example in examples])
            if self.colour_jitter:
                images = augment.colour_jitter(images, rng, self.colour_jitter)
            return _arrays(normalisation.apply(images, factor, offset), examples) | more

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        """All images of "train", "validation" or "test", not augmented, in their stored order; the
        last batch is padded."""
        self.check_split(split, "train")
        source, (factor, offset) = self.source(), self._normalisation()
        frame, more = self._frame(), self._class_weights(self.eval_batch_size)

        def batch(rows: np.ndarray) -> dict[str, np.ndarray]:
            examples = [frame.placed(source.read(split, k)) for k in rows]
            images = np.stack([example.image for example in examples])
            return _arrays(normalisation.apply(images, factor, offset), examples) | more

        return padded(len(source.files[split]), self.eval_batch_size, batch)

    def splits(self) -> tuple[str, ...]:
        files = self.source().files
        return tuple(split for split in ("validation", "test") if split in files)

    def spec(self) -> Spec:
        """Shapes, num_classes and class_names; the images are read where classes and class_table,
        or image_size and crop, are None."""
        table = segmentation_loading.class_table(self.where())
        named = segmentation_loading.named_classes(self.where(), table)
        names = self.source().class_names if named is None else named[1]
        size = self.crop or self._size()
        b, channels = self.batch_size, 1 if self.grey else 3
        arrays = {
            "inputs": ((b, *size, channels), np.dtype(np.float32)),
            "targets": ((b, *size), np.dtype(np.int32)),
        }
        if self.class_weights != "none":
            arrays["class_weights"] = (b, len(names)), np.dtype(np.float32)
        return Spec(arrays, {"num_classes": len(names), "class_names": list(names)})

    def metadata(self) -> dict[str, Any]:
        """num_classes, class_names, class_colours (R, G, B), class_pixels (pixels of each class in
        the training images), class_frequencies (their share of the pixels of the images that have
        the class), digest, train_examples, images (their number by split), and per channel the mean
        and the standard deviation of the training images, black being 0 and white 1, and the
        normalisation: a batch holds pixel_scale times a pixel of 0 to 255 plus pixel_offset."""
        source = self.source()
        self._size()  # refuses images of several sizes
        channels = 1 if self.grey else 3
        factor, offset = (np.broadcast_to(a, channels) for a in self._normalisation())
        mean, std = self._statistics()
        return {
            "num_classes": len(source.class_names),
            "class_names": list(source.class_names),
            "class_colours": [list(colour) for colour in source.class_colours],
            "class_pixels": source.pixels["train"].sum(0).tolist(),
            "class_frequencies": self._frequencies().tolist(),
            "digest": source.digest,
            "train_examples": len(source.files["train"]),
            "images": {split: len(files) for split, files in source.files.items()},
            "mean": list(mean),
            "std": list(std),
            "pixel_scale": factor.tolist(),
            "pixel_offset": offset.tolist(),
        }

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """An image of any size, resized as in an evaluation."""
        return input_images.load(path, 1 if self.grey else 3, self._frame().placed, metadata)

    @property
    def read_threads(self) -> int:
        return 1 if self.source().stamp is None else min(16, os.cpu_count() or 1)

    def where(self) -> SegmentationSource:
        """Which images are read, and how."""
        fields = (getattr(self, field) for field in SegmentationSource._fields)
        return SegmentationSource(*fields)

    def source(self) -> SegmentationSet:
        """The set that is read."""
        return segmentation_loading.open_set(self.where())

    def _size(self) -> Size:
        """Height and width of an evaluation's images.

        Raises:
            UserError: image_size is None and images have several sizes; names one.
        """
        if self.image_size is not None:
            return self.image_size
        source = self.source()
        height, width = source.sizes["train"][0].tolist()
        for split, sizes in source.sizes.items():
            others = np.flatnonzero((sizes != (height, width)).any(1))
            if len(others):
                other = sizes[others[0]]
                raise UserError(
                    f"{source.files[split][others[0]].image} is {other[1]}x{other[0]} and others "
                    f"are {width}x{height}: images of unequal size need image_size."
                )
        return height, width

    def _frame(self) -> MaskFrame:
        return MaskFrame(self._size(), self.fit, self.background)

    def _augmented(self, example: Example, frame: MaskFrame, rng: np.random.Generator) -> Example:
        """The example enlarged, a part of it taken at random, and mirrored."""
        if self.crop is None and self.scale == (1, 1):
            example = frame.placed(example)
        else:
            example = frame.scaled(example, rng, self.scale, self.crop or frame.size)
        return mirrored(example, rng) if self.flip else example

    def _frequencies(self) -> np.ndarray:
        source = self.source()
        return class_frequencies(source.pixels["train"], source.sizes["train"])

    def _class_weights(self, rows: int) -> dict[str, np.ndarray]:
        """The array "class_weights" of a batch, where there is one."""
        if self.class_weights == "none":
            return {}
        weights = median_frequency(self._frequencies()).astype(np.float32)
        if self.class_weights == "root_median_frequency":
            weights = np.sqrt(weights)
        return {"class_weights": np.tile(weights, (rows, 1))}

    def _normalisation(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and offset [C] that take pixels 0..255 to normalised values."""
        return normalisation.factor_and_offset(self.normalise, self._statistics)

    def _statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        source = self.where()

        def measure() -> tuple[np.ndarray, np.ndarray]:
            return segmentation_loading.statistics(source)

        return normalisation.statistics(self, 1 if self.grey else 3, self.source().name, measure)


def _arrays(inputs: np.ndarray, examples: list[Example]) -> dict[str, np.ndarray]:
    """The arrays of a batch: inputs, and the masks with -1 for void."""
    masks = np.stack([example.masks for example in examples]).astype(np.int32)
    return {"inputs": inputs, "targets": np.where(masks == VOID, -1, masks)}
