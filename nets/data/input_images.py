"""Images of one's own, of any size, as a trained model reads them."""

from pathlib import Path
from typing import Any

import numpy as np

from nets.data import image_files, normalisation
from nets.data.annotations import Example
from nets.data.dataset import Input
from nets.data.image_source import Transform

SUFFIXES = image_files.SUFFIXES
"""Endings of the files that are read."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # PIL's, by number of channels


def load(path: Path, channels: int, fit: Transform, metadata: dict[str, Any]) -> Input:
    """The image in a file: "inputs" [1, H, W, C].

    Args:
        path: the file.
        channels: of the images that the model reads; 1 makes an image grey.
        fit: makes an image of any size one of the size that the model reads.
        metadata: those of the run. Pixels of 0 to 255 are normalised by its pixel_scale and
            pixel_offset (float32); without they stay uint8.

    Raises:
        UserError: the file cannot be read as an image.
    """
    image = image_files.read_image(
        path, lambda picture: np.array(picture.convert(_MODES[channels]))
    )
    image = image.reshape(*image.shape[:2], channels)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    fitted = fit(Example(image, keypoints=corners))
    origin, right, below = fitted.keypoints
    matrix = np.eye(3)
    matrix[:2] = np.stack([right - origin, below - origin, origin], 1)
    inputs = fitted.image[None]
    if "pixel_scale" in metadata:
        scale, offset = (np.float32(metadata[f"pixel_{name}"]) for name in ("scale", "offset"))
        inputs = normalisation.apply(inputs, scale, offset)
    size = np.array(inputs.shape[1:3])
    return Input({"inputs": inputs}, {"image": image, "matrix": matrix, "size": size})
