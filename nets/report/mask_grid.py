"""Images beside masks of the classes of their pixels."""

import dataclasses
import textwrap
from typing import Any

import numpy as np

from nets.report.figures import POINT, Picture

_STRIPE = 0.035  # of the longer side of an image, from one stripe of void to the next
_LEGEND = 1.35  # inches of an entry


@dataclasses.dataclass(frozen=True, eq=False)
class MaskGrid(Picture):
    """A line for each image [N, H, W, C] (uint8, C 1 or 3): the image, then its masks.

    Attributes:
        masks: by the title of their column [N, H, W] classes; -1 is void, drawn black with stripes.
        names: of the classes.
        colours: R, G, B of each class, 0 to 255.
        notes: by the title of a column a text below each of its masks.
        image_title: of the column of images.
        cell: inches of an image's longer side.
    """

    images: np.ndarray
    masks: dict[str, np.ndarray]
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    notes: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    image_title: str = "image"
    cell: float = 2.6

    def draw(self, canvas: Any) -> None:
        count, height, width, channels = self.images.shape
        scale = self.cell / max(height, width)
        columns = 1 + len(self.masks)
        size = scale * width * columns, (scale * height + 0.2) * count
        present = np.unique(np.concatenate([m.reshape(-1) for m in self.masks.values()]))
        per_line = max(1, int(max(size[0], 3.0) / _LEGEND))
        lines = -(-len(present) // per_line)
        whole = max(size[0], 3.0), size[1] + 0.22 * lines + 0.7
        canvas.set_size_inches(*whole)
        pixels = self.images[..., 0] if channels == 1 else self.images
        cells = {self.image_title: pixels}
        cells |= {title: self._painted(mask) for title, mask in self.masks.items()}
        for row in range(count):
            for column, (title, pictures) in enumerate(cells.items()):
                axes = canvas.add_subplot(count, columns, row * columns + column + 1)
                axes.imshow(pictures[row], "gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set(xticks=(), yticks=())
                if row == 0:
                    axes.set_title(title, fontsize=POINT + 1)
                if title in self.notes:
                    axes.set_xlabel(self.notes[title][row], fontsize=POINT, labelpad=2)
        canvas.legend(
            handles=[self._patch(k) for k in sorted(present, key=lambda k: (k < 0, k))],
            loc="outside lower center", ncols=per_line, fontsize=POINT, frameon=False,
            handleheight=1.1, columnspacing=1.0,
        )  # fmt: skip
        canvas.suptitle(textwrap.fill(self.title, int(whole[0] * 11)), fontsize=POINT + 3)

    def _painted(self, mask: np.ndarray) -> np.ndarray:
        """Masks [N, H, W] as RGB uint8 [N, H, W, 3]."""
        painted = np.array(self.colours, np.uint8)[np.maximum(mask, 0)]
        rows, columns = np.indices(mask.shape[1:])
        period = max(3, round(_STRIPE * max(mask.shape[1:])))
        stripes = (rows + columns) % period < max(1, period // 4)
        void = np.where(stripes, 255, 0).astype(np.uint8)
        return np.where((mask < 0)[..., None], void[..., None], painted)

    def _patch(self, k: int) -> Any:
        from matplotlib.patches import Patch

        if k < 0:
            return Patch(facecolor="black", edgecolor="white", hatch="////", label="void")
        colour = tuple(value / 255 for value in self.colours[k])
        return Patch(facecolor=colour, edgecolor="dimgray", linewidth=0.5, label=self.names[k])
