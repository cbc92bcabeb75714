"""Images as sequences: read step by step, or to be drawn so."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from nets.data import input_images
from nets.data.dataset import Batches, Input, Spec
from nets.data.derived_images import DerivedImages
from nets.errors import check_choice, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels(DerivedImages):
    """Any set of labelled images (`nets.data.images.Images`), pixel by pixel or row by row.

    Batches hold "inputs" [B, T, D] float32, T = H W pixels of D = C channels or T = H rows of
    D = W C, and "targets" [B] int32, the class (Le et al. 2015, "pixel-by-pixel MNIST"); with
    `draw` the two are exchanged. Those of an evaluation also hold "mask" [B].

    Attributes:
        normalise: "standard" makes mean 0 and standard deviation 1; the others map black and
            white to 0 and 1 ("unit"), -1 and 1 ("signed").
        mean: of each channel, black being 0 and white 1, that "standard" subtracts. None means that
            of the training images.
        std: standard deviation of each channel, that "standard" divides by. None means that of the
            training images.
        by: what a step is.
        permuted: whether the steps come in a random order, the same for all images.
        permutation_seed: seed of that order.
        draw: whether the class is the input and the image the target.
    """

    name: str = "mnist"
    eval_batch_size: int = 250
    normalise: Literal["standard", "unit", "signed"] = "unit"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    by: Literal["pixel", "row"] = "pixel"
    permuted: bool = False
    permutation_seed: int = 0
    draw: bool = False

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES

    def __post_init__(self) -> None:
        check_choice(self, "by", ("pixel", "row"))
        check_range(self, "permutation_seed", at_least=0)
        super().__post_init__()

    def train(self, seed: int) -> Batches:
        return self.images().train(seed).map(self._steps)

    def evaluate(self, split: str) -> Batches:
        return self.images().evaluate(split).map(self._steps)

    def spec(self) -> Spec:
        arrays, metadata = self.images().spec()
        (rows, height, width, channels), dtype = arrays["inputs"]
        if self.by == "pixel":
            steps = (rows, height * width, channels), dtype
        else:
            steps = (rows, height, width * channels), dtype
        return Spec(self._exchanged(arrays | {"inputs": steps}), self._renamed(metadata))

    def metadata(self) -> dict[str, Any]:
        """Those of the images, their shape, and `order`: which of an image's steps comes when.
        None means as they are."""
        metadata = self._renamed(super().metadata())
        shape = self.images().spec().arrays["inputs"][0][1:]
        order = self._order(self._length(shape)).tolist() if self.permuted else None
        return {**metadata, "shape": list(shape), "order": order}

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """An image of any size, as of `Images`, step by step."""
        batch, source = self.images().load_input(path, metadata)
        return Input({"inputs": self._read(batch["inputs"])}, source)

    def _length(self, shape: tuple[int, ...]) -> int:
        return shape[0] * shape[1] if self.by == "pixel" else shape[0]

    def _order(self, steps: int) -> np.ndarray:
        return np.random.default_rng(self.permutation_seed).permutation(steps)

    def _steps(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        mask = {"mask": batch["mask"]} if "mask" in batch else {}
        pair = {"inputs": self._read(batch["inputs"]), "targets": batch["targets"]}
        return self._exchanged(pair) | mask

    def _read(self, images: np.ndarray) -> np.ndarray:
        """Images [B, H, W, C] as steps [B, T, D]."""
        steps = self._length(images.shape[1:])
        rows = images.reshape(len(images), steps, -1)
        return rows[:, self._order(steps)] if self.permuted else rows

    def _renamed(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata of images, whose classes are the vocabulary where they are the inputs."""
        if not self.draw:
            return metadata
        return {"vocab_size" if k == "num_classes" else k: v for k, v in metadata.items()}

    def _exchanged(self, pair: dict[str, Any]) -> dict[str, Any]:
        if not self.draw:
            return pair
        return {"inputs": pair["targets"], "targets": pair["inputs"]}
