"""Detection: photographs with boxes, of files in the common forms or of TFDS."""

import dataclasses
import os
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from nets.data import augment, detection_coco, detection_loading, input_images, normalisation
from nets.data.annotations import Example
from nets.data.checks import check_fits, check_size
from nets.data.dataset import Batches, Dataset, Input, Spec, padded, shuffled
from nets.data.detection_coco import Files
from nets.data.detection_frame import Frame, padded_boxes
from nets.data.detection_loading import DetectionSet, DetectionSource
from nets.errors import UserError, check_choice, check_range

_AUGMENT = 1  # tells the generator of a step's augmentation from that of an epoch's order


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionImages(Dataset):
    """Any set of photographs with boxes.

    A batch holds, H x W being image_size and N max_boxes,

        inputs    [B, H, W, 3] float32, RGB
        boxes     [B, N, 4] float32, corners x0, y0, x1, y1 in pixels of the input, 0 for none
        targets   [B, N] int32, classes, -1 where there is none

    and in an evaluation "difficult" [B, N] bool, objects that count neither for nor against
    (difficult in Pascal VOC, iscrowd in COCO), and "mask" [B] float32. Difficult objects are not
    trained on. An image may have no object. Every image comes exactly once per epoch, in an order
    drawn anew for each.

    Attributes:
        path: a folder in the form of Pascal VOC (Annotations, JPEGImages, ImageSets/Main), one of
            .xml files beside their images, or one with boxes.csv (image, xmin, ymin, xmax, ymax,
            class), images and split_train.txt, split_val.txt, split_test.txt.
        annotations: COCO's JSON of the images to train on; is taken instead of `path`.
        images: the folder of its images. None means the folder that `annotations` is in.
        validation_annotations: the same for validation. None means no such split.
        validation_images: the folder of its images.
        test_annotations: the same for the test. None means no such split.
        test_images: the folder of its images.
        name: a set of TFDS prepared as array_record whose records have an "image" and "objects"
            with "bbox" and "label" ("voc/2007", "coco/2017"); where neither of the others is set.
        data_dir: folder of the TFDS sets. None means TFDS's own, ~/tensorflow_datasets.
        trainval: whether the validation images are trained on too; then there is no such split.
        validation: share of the training images that is held out where the set has no validation
            split of its own.
        classes: the names of the classes by their numbers, of which every object must be. None
            means those of the training images in the order of the alphabet, COCO's categories by
            their ids, or those of TFDS.
        drop_empty: whether boxes without an area are left out, and counted in the metadata; else
            they are refused.
        batch_size: images in a training batch.
        eval_batch_size: images in a batch of an evaluation.
        image_size: height and width in pixels of the inputs.
        fit: "letterbox" keeps the aspect ratio, the image at the upper left; "stretch" does not.
        max_boxes: objects that a batch has room for; more in an image are refused. None means as
            many as an image of the set has at most.
        flip: whether training images are mirrored left to right half of the time.
        flip_vertical: whether they are mirrored upside down half of the time.
        scale: maximum random enlargement or reduction of training images, as a share (YOLO,
            section 2.2: 0.2).
        shift: maximum random shift of training images along each axis, as a share of their sides
            (YOLO: 0.2). A box of which less than `min_visible` stays in the image is left out.
        min_visible: this share of a box's area.
        exposure: maximum factor of the value and the saturation of training images, or of its
            inverse (YOLO: 1.5).
        background: pixel value, 0 to 255, of what an image does not cover.
        normalise: "standard" subtracts the mean and divides by the standard deviation of the
            training images, channel by channel; the others map black and white to 0 and 1
            ("unit"), -1 and 1 ("signed").
        mean: of each channel, black being 0 and white 1, that "standard" subtracts. None means that
            of the training images.
        std: standard deviation of each channel, that "standard" divides by. None means that of the
            training images.
        in_memory_mb: size in MB above which images, as large as image_size needs them, are not held
            in memory but decoded in threads ahead of the step.
    """

    path: str | None = None
    annotations: str | None = None
    images: str | None = None
    validation_annotations: str | None = None
    validation_images: str | None = None
    test_annotations: str | None = None
    test_images: str | None = None
    name: str | None = None
    data_dir: str | None = None
    trainval: bool = False
    validation: float = 0.1
    classes: tuple[str, ...] | None = None
    drop_empty: bool = False
    batch_size: int = 16
    eval_batch_size: int = 16
    image_size: tuple[int, int] = (448, 448)
    fit: Literal["letterbox", "stretch"] = "letterbox"
    max_boxes: int | None = None
    flip: bool = False
    flip_vertical: bool = False
    scale: float = 0.0
    shift: float = 0.0
    min_visible: float = 0.3
    exposure: float = 1.0
    background: int = 128
    normalise: Literal["standard", "unit", "signed"] = "standard"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    in_memory_mb: int = 1024

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "eval_batch_size", "max_boxes", "exposure", at_least=1)
        check_range(self, "validation", "scale", "shift", at_least=0, below=1)
        check_range(self, "min_visible", above=0, at_most=1)
        check_range(self, "background", at_least=0, at_most=255)
        check_range(self, "in_memory_mb", at_least=0)
        check_choice(self, "fit", ("letterbox", "stretch"))
        check_choice(self, "normalise", ("standard", "unit", "signed"))
        normalisation.check(self)
        check_size(self, "image_size")
        if self.classes is not None and len(set(self.classes)) < max(1, len(self.classes)):
            raise UserError(f"must be different names, got {self.classes}.", "classes")
        for split, (file, folder) in _FILES.items():
            if getattr(self, file) is None and getattr(self, folder) is not None:
                raise UserError(f"needs {file}, COCO's JSON.", folder)
            if split != "train" and getattr(self, file) is not None and self.annotations is None:
                raise UserError("needs annotations, those to train on.", file)

    def train(self, seed: int) -> Batches:
        source = self.source()
        limit = source.room(self.max_boxes)
        n = len(source.objects["train"])
        check_fits(self, n, f"training images of {source.name}")
        factor, offset = self._normalisation()

        def batch(i: int) -> dict[str, np.ndarray]:
            rng = np.random.default_rng((seed, i, _AUGMENT))
            rows = shuffled(seed, n, self.batch_size, i)
            examples = [self._augmented(self._example(source, "train", k), rng) for k in rows]
            images = np.stack([example.image for example in examples])
            if self.exposure > 1:
                images = augment.exposure(images, rng, self.exposure, self.exposure)
            inputs = normalisation.apply(images, factor, offset)
            return {"inputs": inputs} | padded_boxes(examples, limit)

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        """All images of "train", "validation" or "test", not augmented, in their stored order; the
        last batch is padded."""
        self.check_split(split, "train")
        source = self.source()
        limit = source.room(self.max_boxes)
        factor, offset = self._normalisation()
        frame = self._frame()

        def batch(rows: np.ndarray) -> dict[str, np.ndarray]:
            examples = [frame.placed(self._example(source, split, k, whole=True)) for k in rows]
            images = np.stack([example.image for example in examples])
            difficult = np.zeros((len(rows), limit), bool)
            for i, k in enumerate(rows):
                flags = source.objects[split][k].difficult
                difficult[i, : len(flags)] = flags
            inputs = normalisation.apply(images, factor, offset)
            return {"inputs": inputs, "difficult": difficult} | padded_boxes(examples, limit)

        return padded(len(source.objects[split]), self.eval_batch_size, batch)

    def splits(self) -> tuple[str, ...]:
        return tuple(split for split in self.source().objects if split != "train")

    def spec(self) -> Spec:
        """Shapes, and num_classes and class_names where they are set or a set of TFDS has them; the
        annotations are read where max_boxes is None."""
        b, n = self.batch_size, self.max_boxes or self.source().room(None)
        arrays = {
            "inputs": ((b, *self.image_size, 3), np.dtype(np.float32)),
            "boxes": ((b, n, 4), np.dtype(np.float32)),
            "targets": ((b, n), np.dtype(np.int32)),
        }
        names, known = self.classes, {}
        if self.path is None and self.annotations is None and self.name:
            names = names or detection_coco.classes_of(self.name, self.data_dir)
            known = detection_coco.published(self.name, self.trainval)
        if names is not None:
            known |= {"num_classes": len(names), "class_names": list(names)}
        return Spec(arrays, known)

    def metadata(self) -> dict[str, Any]:
        """num_classes, class_names, image_size, max_boxes, digest, train_examples, by split images,
        objects, difficult (of the objects) and dropped (boxes without an area), and per
        channel the mean and the standard deviation of the training images, black being 0 and white
        1, and the normalisation: a batch holds pixel_scale times a pixel of 0 to 255 plus
        pixel_offset."""
        source = self.source()
        factor, offset = (np.broadcast_to(a, 3) for a in self._normalisation())
        mean, std = self._statistics()
        return {
            "num_classes": len(source.class_names),
            "class_names": list(source.class_names),
            "image_size": list(self.image_size),
            "max_boxes": source.room(self.max_boxes),
            "digest": source.digest,
            "train_examples": len(source.objects["train"]),
            **source.counts(),
            "mean": list(mean),
            "std": list(std),
            "pixel_scale": factor.tolist(),
            "pixel_offset": offset.tolist(),
        }

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """An image of any size, fitted in as in an evaluation."""
        return input_images.load(path, 3, self._frame().placed, metadata)

    @property
    def read_threads(self) -> int:
        return 1 if self.source().stamp is None else min(16, os.cpu_count() or 1)

    def where(self) -> DetectionSource:
        """Which images are read, and how."""
        files = []
        for split, (file, folder) in _FILES.items():
            if (path := getattr(self, file)) is not None:
                json_file = Path(path).expanduser()
                images = Path(getattr(self, folder) or json_file.parent).expanduser()
                files.append((split, Files(json_file, images, f"{file}={path}")))
        height, width = (round(side * (1 + self.scale)) for side in self.image_size)
        return DetectionSource(
            self.name, self.data_dir, self.path, tuple(files), self.trainval, self.validation,
            self.classes, self.drop_empty, (height, width), self.fit, self.in_memory_mb,
        )  # fmt: skip

    def source(self) -> DetectionSet:
        """The set that is read."""
        return detection_loading.open_set(self.where())

    def _example(self, source: DetectionSet, split: str, k: int, whole: bool = False) -> Example:
        """Image k of a split and its objects, the difficult ones only if it is to be whole."""
        objects = source.objects[split][k]
        chosen = np.full(len(objects.classes), True) if whole else ~objects.difficult
        return Example(source.read(split, k), objects.classes[chosen], objects.boxes[chosen])

    def _frame(self) -> Frame:
        return Frame(self.image_size, self.fit, self.background)

    def _augmented(self, example: Example, rng: np.random.Generator) -> Example:
        frame = self._frame()
        example = frame.jittered(example, rng, self.scale, self.shift, self.min_visible)
        return frame.mirrored(example, rng, self.flip, self.flip_vertical)

    def _normalisation(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and offset [C] that take pixels 0..255 to normalised values."""
        return normalisation.factor_and_offset(self.normalise, self._statistics)

    def _statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        def measure() -> tuple[np.ndarray, np.ndarray]:
            return detection_loading.statistics(self.where())

        return normalisation.statistics(self, 3, "detection", measure)


_FILES = {
    split: (f"{prefix}annotations", f"{prefix}images")
    for split, prefix in (("train", ""), ("validation", "validation_"), ("test", "test_"))
}
