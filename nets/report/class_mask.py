"""A mask of classes as a PNG file of their ids."""

import dataclasses
from pathlib import Path

import numpy as np

from nets.report.figures import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class ClassMask(Figure):
    """A mask [H, W] whose file holds ids as indices of a palette, as those of Pascal VOC.

    Attributes:
        classes: [H, W], -1 where there is none, which becomes 255.
        colours: R, G, B of each class, 0 to 255; at most 255 classes.
    """

    classes: np.ndarray
    colours: tuple[tuple[int, int, int], ...]

    def write(self, folder: Path, name: str) -> Path:
        from PIL import Image

        path = folder / f"{name}.png"
        ids = np.where(self.classes < 0, 255, self.classes).astype(np.uint8)
        picture = Image.frombytes("P", ids.shape[::-1], ids.tobytes())
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self.colours)] = self.colours
        picture.putpalette(palette.tobytes())
        picture.save(path)
        return path
