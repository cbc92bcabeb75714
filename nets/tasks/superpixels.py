"""Superpixels, and predictions that are one class in each of them; on the host."""

import dataclasses
from typing import Any

import numpy as np

from nets.errors import check_range, missing
from nets.report.figures import stored_pixels


@dataclasses.dataclass(frozen=True)
class Felzenszwalb:
    """Superpixels of a graph of neighbouring pixels, by scikit-image.

    Felzenszwalb and Huttenlocher 2004, "Efficient graph-based image segmentation".

    Attributes:
        scale: the larger, the larger are the superpixels (the paper's k, for values up to 255).
        sigma: standard deviation in pixels of the Gaussian that smooths the image before.
        min_size: minimum of pixels of a superpixel.
    """

    scale: float = 30.0
    sigma: float = 0.8
    min_size: int = 20

    def __post_init__(self) -> None:
        check_range(self, "scale", above=0)
        check_range(self, "sigma", at_least=0)
        check_range(self, "min_size", at_least=1)

    def segments(self, image: np.ndarray) -> np.ndarray:
        """The superpixel [H, W] of each pixel, numbered from 0 on.

        Args:
            image: [H, W, C], 0 to 1.
        """
        felzenszwalb = import_felzenszwalb()
        return felzenszwalb(
            image, scale=self.scale, sigma=self.sigma, min_size=self.min_size, channel_axis=-1
        )

    def smoothed(
        self, image: np.ndarray, prediction: np.ndarray, metadata: dict[str, Any]
    ) -> np.ndarray:
        """The prediction [H, W] with one class in each superpixel, by `majority`.

        Args:
            image: [H, W, C], as a network reads it.
            prediction: classes [H, W].
            metadata: that of the data, by which the image is turned back into pixels.
        """
        pixels, units = stored_pixels(np.asarray(image), metadata)
        low, high = units["limits"]
        shades = np.clip((pixels - low) / max(high - low, 1e-12), 0, 1)
        return majority(np.asarray(prediction), self.segments(shades))


def import_felzenszwalb() -> Any:
    """scikit-image's function.

    Raises:
        UserError: the extra is not installed.
    """
    try:
        from skimage.segmentation import felzenszwalb
    except ImportError as error:
        raise missing("a prediction by superpixels", "scikit-image", "segmentation") from error
    return felzenszwalb


def majority(prediction: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """The class [H, W] that most pixels of each pixel's superpixel have; of several the first.

    Farabet et al. 2013, "Learning hierarchical features for scene labeling", section 4.1, average
    the distributions of the pixels instead.

    Args:
        prediction: classes [H, W].
        segments: superpixels [H, W], numbered from 0 on.
    """
    classes, count = int(prediction.max()) + 1, int(segments.max()) + 1
    cells = segments.astype(np.int64) * classes + prediction
    pixels = np.bincount(cells.reshape(-1), minlength=classes * count).reshape(count, classes)
    return pixels.argmax(1)[segments]
