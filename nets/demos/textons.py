"""Textons: images as histograms of the kinds of spots that a bank of filters tells apart."""

import dataclasses
import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.cluster import KMeans

from nets.data import image_loading
from nets.data.image_features import ImageFeatures
from nets.errors import UserError, check_range
from nets.layers.filters import gabor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Textons(ImageFeatures):
    """Any set of grey labelled images (`nets.data.images.Images`), described by textons.

    The outputs of a bank of Gabor filters at each of 20,000 training pixels are clustered by
    k-means; the centres are the textons. An image is the share of pixels nearest to each, cell by
    cell (Leung and Malik 2001; the word is of Julesz 1981).

    Attributes:
        window: side of a filter in pixels.
        wavelengths: of the filters, in pixels.
        orientations: directions of the filters, evenly over half a turn.
        textons: number of textons.
        cell: side of a cell in pixels.
    """

    window: int = 7
    wavelengths: tuple[float, ...] = (4.0, 8.0)
    orientations: int = 8
    textons: int = 32
    cell: int = 4

    def __post_init__(self) -> None:
        check_range(self, "window", at_least=2)
        check_range(self, "orientations", "textons", "cell", at_least=1)
        if not self.wavelengths or min(self.wavelengths) <= 0:
            raise UserError(f"must be above 0, got {self.wavelengths}.", "wavelengths")
        super().__post_init__()

    def size(self, shape: tuple[int, ...]) -> int:
        if shape[2] != 1:
            raise UserError(f"textons are of grey images, and these have channels={shape[2]}.")
        if self.cell > min(shape[:2]):
            raise UserError(f"must be at most {min(shape[:2])}, got {self.cell}.", "cell")
        return shape[0] // self.cell * (shape[1] // self.cell) * self.textons

    def features(self) -> dict[str, np.ndarray]:
        self.spec()  # refuses images without room for a cell
        bank = self.window, self.wavelengths, self.orientations
        return histograms(self.images().where(), self.validation, bank, self.textons, self.cell)


def gabor_bank(window: int, wavelengths: tuple[float, ...], orientations: int) -> np.ndarray:
    """All even filters of every wavelength in every direction, then all odd ones, [F, n, n]."""
    angles = np.arange(orientations) * np.pi / orientations
    pairs = [gabor(window, wavelength, angle) for wavelength in wavelengths for angle in angles]
    return np.concatenate(np.moveaxis(pairs, 0, 1))


def responses(images: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """The outputs [N, H, W, F] of filters [F, n, n] at each pixel of images [N, H, W]."""
    before = (bank.shape[1] - 1) // 2
    sides = before, bank.shape[1] - 1 - before
    windows = sliding_window_view(np.pad(images, ((0, 0), sides, sides)), bank.shape[1:], (1, 2))
    return np.tensordot(windows, bank.astype(images.dtype), ((3, 4), (1, 2)))


@functools.lru_cache(maxsize=1)
def histograms(
    where: image_loading.ImageSource,
    validation: float,
    bank: tuple[int, tuple[float, ...], int],
    textons: int,
    cell: int,
) -> dict[str, np.ndarray]:
    """The histograms [N, cells textons] float32 of every image, by stored split."""
    source, filters = image_loading.open_set(where), gabor_bank(*bank)

    def outputs(split: str, rows: np.ndarray) -> np.ndarray:
        images = source.read(split, rows)[0][..., 0].astype(np.float32) / 255
        return responses(images, filters)

    split, rows = image_loading.partition(where, validation)["train"]
    rng, pixels = np.random.default_rng(0), int(np.prod(source.shape[:2]))
    chosen = rng.choice(rows, min(len(rows), 1000), replace=False)
    each = outputs(split, np.sort(chosen)).reshape(len(chosen) * pixels, -1)
    sample = rng.choice(each, min(len(each), 20_000), replace=False)
    clusters = KMeans(textons, random_state=0, n_init=1).fit(sample)

    def describe(split: str, rows: np.ndarray) -> np.ndarray:
        values = outputs(split, rows)
        nearest = clusters.predict(values.reshape(-1, values.shape[-1])).reshape(values.shape[:3])
        h, w = (side // cell for side in values.shape[1:3])
        cells = nearest[:, : h * cell, : w * cell].reshape(-1, h, cell, w, cell)
        shares = [(cells == k).mean((2, 4), dtype=np.float32) for k in range(textons)]
        return np.stack(shares, -1).reshape(len(rows), -1)

    def parts(n: int) -> list[np.ndarray]:
        return np.array_split(np.arange(n), -(-n // 256))

    return {
        split: np.concatenate([describe(split, part) for part in parts(n)])
        for split, n in source.sizes.items()
    }
