"""Generated worlds of square cells, to be explored."""

import dataclasses
from typing import Any

import numpy as np
from scipy import ndimage

from nets.data.synthetic import Batch, Generated
from nets.errors import check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridWorlds(Generated):
    """Worlds with walls at random, and where an agent begins (`nets.layers.grid_world`).

    A batch holds

        inputs [B, H, W] float32, 1 at walls, H = W = side
        pose   [B, 3] int32, row, column and heading of the beginning

    Each inner cell is a wall with probability `density`; of the free cells the largest connected
    part stays free, so that all of them can be reached. A world of which less than half of the
    inner cells is free is drawn again. The border is wall.

    Attributes:
        side: cells along a side, with the border.
        density: probability of a wall.
    """

    side: int = 11
    density: float = 0.3
    eval_size: int = 200
    eval_batch_size: int = 100
    batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "side", at_least=4)
        check_range(self, "density", at_least=0, at_most=0.35)

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        walls = np.stack([self._world(rng) for _ in range(rows)])
        pose = np.zeros((rows, 3), np.int32)
        for row, world in enumerate(walls):
            pose[row, :2] = rng.choice(np.argwhere(~world))
        pose[:, 2] = rng.integers(0, 4, rows)
        return {"inputs": walls.astype(np.float32), "pose": pose}

    def extra_metadata(self) -> dict[str, Any]:
        """side."""
        return {"side": self.side}

    def _world(self, rng: np.random.Generator) -> np.ndarray:
        inner = self.side - 2
        while True:
            parts, _ = ndimage.label(rng.random((inner, inner)) >= self.density)
            sizes = np.bincount(parts.ravel())[1:]
            if sizes.size and sizes.max() >= inner**2 / 2:
                return np.pad(parts != 1 + sizes.argmax(), 1, constant_values=True)
