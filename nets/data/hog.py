"""Histograms of oriented gradients: images as the features that were made for them by hand."""

import dataclasses
import functools
import importlib.metadata

import numpy as np

from nets.data import cache, image_loading
from nets.data.image_features import ImageFeatures
from nets.errors import UserError, check_range, missing


@dataclasses.dataclass(frozen=True, kw_only=True)
class HOG(ImageFeatures):
    """Any set of labelled images (`nets.data.images.Images`), described by oriented gradients.

    Dalal and Triggs 2005, "Histograms of oriented gradients for human detection", as scikit-image's
    `hog` has it: a histogram of the gradients' directions, unsigned, for each cell of cell x cell
    pixels; overlapping blocks of block x block cells, each cut off and normalised by itself
    (L2-Hys). Computed once and kept in the user's cache directory.

    Attributes:
        orientations: bins of a histogram.
        cell: side of a cell in pixels.
        block: side of a block in cells.
    """

    orientations: int = 9
    cell: int = 4
    block: int = 2

    def __post_init__(self) -> None:
        check_range(self, "orientations", "cell", "block", at_least=1)
        super().__post_init__()

    def size(self, shape: tuple[int, ...]) -> int:
        blocks = [side // self.cell - self.block + 1 for side in shape[:2]]
        if min(blocks) < 1:
            raise UserError(
                f"cell={self.cell} and block={self.block} need images of at least "
                f"{self.cell * self.block} pixels a side, not {shape[0]}x{shape[1]}."
            )
        return blocks[0] * blocks[1] * self.block**2 * self.orientations

    def features(self) -> dict[str, np.ndarray]:
        self.spec()  # refuses images that are too small
        return features(self.images().where(), self.orientations, self.cell, self.block)


@functools.lru_cache(maxsize=1)
def features(
    where: image_loading.ImageSource, orientations: int, cell: int, block: int
) -> dict[str, np.ndarray]:
    """The features [N, F] float32 of every image, by stored split.

    Raises:
        UserError: scikit-image is not installed.
    """
    try:
        from skimage.feature import hog
    except ImportError as error:
        raise missing("a histogram of oriented gradients", "scikit-image", "hog") from error
    source = image_loading.open_set(where)

    def describe(image: np.ndarray) -> np.ndarray:
        cells, blocks = (cell, cell), (block, block)
        return hog(image / 255, orientations, cells, blocks, channel_axis=-1).astype(np.float32)

    def make() -> dict[str, np.ndarray]:
        arrays = {}
        for split, n in source.sizes.items():
            parts = np.array_split(np.arange(n), n // 1024 + 1)
            arrays[split] = np.stack(
                [describe(image) for part in parts for image in source.read(split, part)[0]]
            )
        return arrays

    version = importlib.metadata.version("scikit-image")
    stamp = f"{source.digest} {source.stamp} {version} {orientations} {cell} {block}"
    return cache.arrays(f"{source.name}-hog", stamp, make)
