"""One handwritten digit anywhere in a larger image, among pieces of others."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nets.data import crops, input_images
from nets.data.dataset import Input, Spec
from nets.data.digit_scenes import grey_class_names
from nets.data.images import Images
from nets.data.synthetic import Batch, GeneratedExamples
from nets.errors import UserError, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClutteredDigits(GeneratedExamples):
    """Translated and cluttered digits (Mnih et al. 2014, section 4.1).

    A digit of its stored size stands anywhere in a black square; pieces of other digits of the same
    split stand anywhere else, and where two meet the brighter is seen. A batch holds

        inputs  [B, S, S, 1] float32, 0 black to 1 white
        targets [B] int32, the class of the digit

    and in an evaluation "mask" [B] float32.

    Attributes:
        name: "digits" (embedded) or "mnist", as of `Images`.
        data_dir: folder of the TFDS sets. None means TFDS's own.
        side: pixels of a side S of the image.
        clutter: number of pieces.
        piece: pixels of a side of a piece.
    """

    batch_size: int = 128
    eval_batch_size: int = 250
    eval_size: int = 10_000
    name: str = "mnist"
    data_dir: str | None = None
    side: int = 60
    clutter: int = 0
    piece: int = 8

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "clutter", at_least=0)
        check_range(self, "piece", at_least=1)
        check_range(self, "side", at_least=max(self.piece, 8))

    def images(self) -> Images:
        """The set that the digits come from."""
        return Images(name=self.name, data_dir=self.data_dir)

    def examples(self, rngs: Sequence[np.random.Generator], split: str) -> Batch:
        images = self.images()
        stored, chosen = images.rows(split)
        choice = np.stack([rng.integers(0, len(chosen), 1 + self.clutter) for rng in rngs])
        flat, labels = images.source().read(stored, chosen[choice.reshape(-1)], None)
        digits = flat[..., 0].reshape(*choice.shape, *flat.shape[1:3])
        inputs = np.zeros((len(rngs), self.side, self.side, 1), np.float32)
        for canvas, rng, (digit, *others) in zip(inputs[..., 0], rngs, digits, strict=True):
            _paste(canvas, digit, rng)
            for other in others:
                top, left = rng.integers(0, np.array(other.shape) - self.piece + 1)
                _paste(canvas, other[top : top + self.piece, left : left + self.piece], rng)
        targets = labels.reshape(choice.shape)[:, 0]
        return {"inputs": inputs / 255, "targets": targets.astype(np.int32)}

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """An image of any size, resized to fit, the rest black."""
        fit = functools.partial(crops.letterbox, size=(self.side, self.side))
        return input_images.load(path, 1, fit, metadata)

    def spec(self) -> Spec:
        """Shapes, and what `extra_metadata` says, known of a TFDS set that is not prepared too."""
        height, width = self.images().spec().arrays["inputs"][0][1:3]
        if max(height, width) > self.side:
            raise UserError(
                f"must hold a digit of {height}x{width} pixels, got {self.side}.", "side"
            )
        if self.piece > min(height, width):
            raise UserError(
                f"must be part of a digit of {height}x{width} pixels, got {self.piece}.", "piece"
            )
        shape = (self.batch_size, self.side, self.side, 1)
        arrays = {
            "inputs": (shape, np.dtype(np.float32)),
            "targets": ((self.batch_size,), np.dtype(np.int32)),
        }
        return Spec(arrays, self.extra_metadata())

    def extra_metadata(self) -> dict[str, Any]:
        """num_classes, class_names and the normalisation."""
        names = grey_class_names(self.images())
        return {
            "num_classes": len(names),
            "class_names": list(names),
            "pixel_scale": [1 / 255],
            "pixel_offset": [0.0],
        }


def _paste(canvas: np.ndarray, part: np.ndarray, rng: np.random.Generator) -> None:
    """Draws a part [h, w] anywhere in a canvas [S, S] where it is brighter."""
    top, left = rng.integers(0, np.array(canvas.shape) - part.shape + 1)
    place = canvas[top : top + part.shape[0], left : left + part.shape[1]]
    np.maximum(place, part, out=place)
