"""Scenes of real handwritten digits of different sizes, with the box and pixels of each."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nets.data import crops, input_images, scenes
from nets.data.dataset import Input, Spec
from nets.data.images import Images
from nets.data.synthetic import Batch, GeneratedExamples
from nets.errors import UserError, check_range

_TRIES = 50  # positions that are tried for a digit before it is left out
_INK = 64  # grey level from which on a pixel of a digit counts as its own


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitScenes(GeneratedExamples):
    """One to five handwritten digits on textured ground, as detectors find them.

    The digits are those of a set of images, each split's of the same split of the set; where they
    stand is generated. A batch holds

        inputs  [B, S, S, 1] float32, -1 black to 1 white
        boxes   [B, N, 4] float32, corners x0, y0, x1, y1 in pixels, 0 where there is none
        targets [B, N] int32, the digits, -1 where there is none
        pixels  [B, N, S, S] bool, those of each digit, where `pixels` is true

    and in an evaluation "mask" [B] float32. Boxes are the smallest around a digit's ink.

    Attributes:
        name: "digits" (embedded) or "mnist", as of `Images`.
        data_dir: folder of the TFDS sets. None means TFDS's own.
        side: pixels of a side of a scene.
        max_digits: maximum of digits in a scene; the minimum is 1.
        digit_size: minimum and maximum side in pixels to which a stored image of a digit is scaled.
        max_cover: maximum of the share of a digit's box that another's may cover.
        pixels: whether batches hold the pixels of each digit.
    """

    batch_size: int = 32
    eval_batch_size: int = 50
    eval_size: int = 500
    name: str = "digits"
    data_dir: str | None = None
    side: int = 128
    max_digits: int = 5
    digit_size: tuple[int, int] = (20, 56)
    max_cover: float = 0.1
    pixels: bool = False

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "max_digits", at_least=1)
        check_range(self, "max_cover", at_least=0, at_most=1)
        sizes = self.digit_size
        if len(sizes) != 2 or not 8 <= sizes[0] <= sizes[1] <= self.side:
            raise UserError(
                f"must be two sizes that rise from 8 or more to side={self.side} or less, got "
                f"{sizes}.",
                "digit_size",
            )

    def images(self) -> Images:
        """The set that the digits come from."""
        return Images(name=self.name, data_dir=self.data_dir)

    def examples(self, rngs: Sequence[np.random.Generator], split: str) -> Batch:
        images, rows = self.images(), len(rngs)
        stored, chosen = images.rows(split)
        choice = np.stack([rng.integers(0, len(chosen), self.max_digits) for rng in rngs])
        flat, labels = images.source().read(stored, chosen[choice.reshape(-1)], None)
        digits = flat.reshape(rows, self.max_digits, *flat.shape[1:])
        batch = {
            "inputs": np.empty((rows, self.side, self.side, 1), np.float32),
            "boxes": np.zeros((rows, self.max_digits, 4), np.float32),
            "targets": np.full((rows, self.max_digits), -1, np.int32),
        }
        owned = np.zeros((rows, self.max_digits, self.side, self.side), bool)
        labels = labels.reshape(rows, self.max_digits)
        for i, (rng, own, names) in enumerate(zip(rngs, digits, labels, strict=True)):
            scene = self._ground(rng)
            count = int(rng.integers(1, self.max_digits + 1))
            for k in range(count):
                self._place(
                    rng, scene, own[k], names[k], batch["boxes"][i], batch["targets"][i], owned[i]
                )
            batch["inputs"][i] = scene[..., None] / 127.5 - 1
        return batch | ({"pixels": owned} if self.pixels else {})

    def _ground(self, rng: np.random.Generator) -> np.ndarray:
        """Coarse and fine grey noise [S, S], below 130."""
        coarse = rng.random((5, 5), np.float32)
        along = scenes.between(5, self.side)
        fine = rng.random((self.side, self.side), np.float32)
        return 80 * along @ coarse @ along.T + 50 * fine

    def _place(
        self,
        rng: np.random.Generator,
        scene: np.ndarray,
        digit: np.ndarray,
        name: int,
        boxes: np.ndarray,
        targets: np.ndarray,
        owned: np.ndarray,
    ) -> None:
        """Draws a digit [h, w, 1] where there is room, and notes it in the next free row."""
        size = int(rng.integers(self.digit_size[0], self.digit_size[1] + 1))
        ink = crops.resize(digit, (0, 0, *digit.shape[1::-1]), (size, size))[..., 0]
        x0, y0, x1, y1 = scenes.boxes(ink >= _INK)
        k = int((targets >= 0).sum())
        for _ in range(_TRIES):
            top, left = rng.integers(0, self.side - size + 1, 2)
            box = np.array([left + x0, top + y0, left + x1, top + y1], np.float32)
            if k == 0 or covered(box, boxes[:k]).max() <= self.max_cover:
                part = (slice(top, top + size), slice(left, left + size))
                scene[part] = np.maximum(scene[part], ink)
                boxes[k], targets[k], owned[k][part] = box, name, ink >= _INK
                return

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """An image of any size, resized to fit into a scene, the rest black."""
        fit = functools.partial(crops.letterbox, size=(self.side, self.side))
        return input_images.load(path, 1, fit, metadata)

    def row(self) -> dict[str, tuple[tuple[int, ...], type]]:
        """Shape and type of each array of a row."""
        arrays = {
            "inputs": ((self.side, self.side, 1), np.float32),
            "boxes": ((self.max_digits, 4), np.float32),
            "targets": ((self.max_digits,), np.int32),
        }
        pixels = {"pixels": ((self.max_digits, self.side, self.side), bool)}
        return arrays | (pixels if self.pixels else {})

    def spec(self) -> Spec:
        """Shapes, and what `extra_metadata` says, known of a TFDS set that is not prepared too."""
        arrays = {
            name: ((self.batch_size, *shape), np.dtype(dtype))
            for name, (shape, dtype) in self.row().items()
        }
        return Spec(arrays, self.extra_metadata())

    def class_names(self) -> tuple[str, ...]:
        """The names of the digits.

        Raises:
            UserError: the images of the set are not grey.
        """
        return grey_class_names(self.images())

    def extra_metadata(self) -> dict[str, Any]:
        """num_classes, class_names, image_size, and max_boxes, the objects in a scene."""
        names = self.class_names()
        return {
            "num_classes": len(names),
            "class_names": list(names),
            "image_size": [self.side, self.side],
            "max_boxes": self.max_digits,
            "pixel_scale": [2 / 255],
            "pixel_offset": [-1.0],
        }


def covered(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The intersection of a box [4] with each of others [N, 4], over the area of the smaller."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    areas = np.prod(others[:, 2:] - others[:, :2], 1)
    smaller = np.minimum(areas, np.prod(box[2:] - box[:2]))
    return np.prod(np.maximum(high - low, 0), 1) / smaller


def grey_class_names(images: Images) -> tuple[str, ...]:
    """The names of the classes of a set of grey images.

    Raises:
        UserError: they are not grey.
    """
    spec = images.spec()
    if (channels := spec.arrays["inputs"][0][-1]) != 1:
        raise UserError(
            f"must be a set of grey images; those of {images.name} have channels={channels}.",
            "name",
        )
    return tuple(spec.metadata["class_names"])
