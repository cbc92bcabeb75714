"""Images on a larger canvas, moved about on it."""

import dataclasses
from typing import Any

import grain
import numpy as np

from nets.data.augment import pad_crop
from nets.data.images import ENDLESS, Images, alike
from nets.errors import UserError

_SHIFT = 2  # tells the generator of a step's shifts from that of an epoch's order


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shifted:
    """Any set of labelled images (`nets.data.images.Images`), framed by `margin` black pixels.

    Batches hold "image" [B, H + 2 margin, W + 2 margin, C] float32, black 0 and white 1, and
    "label" [B] int32; those of an evaluation also "mask" [B] float32. Training images are moved by
    whole pixels, anew at every step; those of an evaluation lie in the middle.

    Attributes:
        name: "digits" (embedded: 1,797 handwritten digits, 8x8), or any image-classification set
            of TFDS that is prepared as array_record ("mnist", "fashion_mnist").
        data_dir: folder of the TFDS sets; none is TFDS's own, ~/tensorflow_datasets.
        batch_size: images in a training batch.
        eval_batch_size: images in a batch of an evaluation.
        validation: share of the training images that is held out where the set has no validation
            split of its own.
        margin: pixels of black on each side.
        shift: greatest shift of training images along each axis, in pixels.
    """

    name: str = "digits"
    data_dir: str | None = None
    batch_size: int = 64
    eval_batch_size: int = 180
    validation: float = 0.1
    margin: int = 6
    shift: int = 2

    def __post_init__(self):
        if not 0 <= self.shift <= self.margin:
            raise UserError(
                f"--data.shift={self.shift} is not possible; 0 to --data.margin={self.margin} is."
            )
        self._images()  # which checks the rest

    def train(self, seed: int) -> grain.MapDataset:
        """The training batches; element i is the batch of step i."""
        images = self._images().train(seed)

        def batch(i: int) -> dict[str, np.ndarray]:
            found, rng = images[int(i)], np.random.default_rng((seed, int(i), _SHIFT))
            return found | {"image": pad_crop(self._framed(found["image"]), rng, self.shift)}

        return grain.MapDataset.range(ENDLESS).map(batch)

    def evaluate(self, split: str) -> grain.MapDataset:
        """All images of a split in their stored order; the last batch is padded."""
        framed = lambda batch: batch | {"image": self._framed(batch["image"])}  # noqa: E731
        return self._images().evaluate(split).map(framed)

    def splits(self) -> tuple[str, ...]:
        return self._images().splits()

    def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        found = self._images().spec()
        (rows, height, width, channels), pixels = found["image"]
        around = 2 * self.margin
        return found | {"image": ((rows, height + around, width + around, channels), pixels)}

    def facts(self) -> dict[str, Any]:
        """Those of the images, and margin and shift."""
        return self._images().facts() | {"margin": self.margin, "shift": self.shift}

    @property
    def read_threads(self) -> int:
        """Threads that making batches keeps busy."""
        return self._images().read_threads

    def _images(self) -> Images:
        return alike(self, normalise="unit", shift=0.0)

    def _framed(self, images: np.ndarray) -> np.ndarray:
        sides = (self.margin, self.margin)
        return np.pad(images, ((0, 0), sides, sides, (0, 0)))
