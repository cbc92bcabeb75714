"""Pictures that were written, as arrays."""

from pathlib import Path

import numpy as np
from PIL import Image


def pixels(path: Path) -> np.ndarray:
    """The pixels [H, W, 3] of a picture."""
    return np.asarray(Image.open(path).convert("RGB"))
