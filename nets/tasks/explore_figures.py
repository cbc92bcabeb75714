"""Figures of exploration: the way through a world, and the map that was learned of it."""

from typing import Any

import numpy as np

from nets.neural_slam import SLAMCarry
from nets.report.image_grid import ImageGrid

_CELL = 9  # pixels along a side of a cell
_WALL, _UNSEEN, _WAY, _LAST = (40, 40, 40), (150, 150, 150), (0, 114, 178), (213, 94, 0)
_SIDES = np.array([[213.0, 94.0, 0.0], [0.0, 114.0, 178.0]])  # colours of the map's two signs
_LEAST = 0.15  # of a colour, where something was written


def exploration(walls: Any, walk: Any) -> ImageGrid:
    """For each world the way that was taken and, of a model with a map, that over the walls.

    Args:
        walls: [B, H, W] (bool).
        walk: `nets.tasks.explore.Walk`, as numpy arrays.
    """
    walls, images, captions = np.asarray(walls), [], []
    free = ~walls
    shares = (walk.seen & free).sum((1, 2)) / free.sum((1, 2))
    (cell,) = walk.carry[0]
    for row, blocked in enumerate(walls):
        images.append(_way(blocked, walk.seen[row], walk.poses[row]))
        captions.append(f"{shares[row]:.0%} seen")
        if isinstance(cell, SLAMCarry):
            learned = placed(cell.memory[row], walk.poses[row, 0], blocked.shape)
            images.append(_map(blocked, learned))
            captions.append("learned map")
    title = "Worlds: the way in blue, its end orange; walls black; grey what was never in view"
    if isinstance(cell, SLAMCarry):
        title += (
            ". Beside each the memory: orange like walls, blue unlike them, white unwritten. "
            "Framed: the true walls"
        )
    return ImageGrid(title, np.stack(images), tuple(captions), columns=4, limits=(0, 255))


def placed(memory: np.ndarray, pose: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A memory [M, N] in the frame of the world, [H, W, M].

    Args:
        memory: in the frame of the beginning, of which the middle is the agent, and up its heading.
        pose: [3], where that was.
        shape: H and W.
    """
    row, column, heading = pose
    side = round(memory.shape[1] ** 0.5)
    grid = np.rot90(memory.reshape(-1, side, side), -int(heading), (1, 2))
    rows = (np.arange(shape[0]) - row + side // 2) % side
    columns = (np.arange(shape[1]) - column + side // 2) % side
    return np.moveaxis(grid[:, rows][:, :, columns], 0, -1)


def _way(walls: np.ndarray, seen: np.ndarray, poses: np.ndarray) -> np.ndarray:
    cells = np.full((*walls.shape, 3), 255.0)
    cells[~seen] = _UNSEEN
    cells[walls] = np.where(seen[walls][:, None], _WALL, np.add(_WALL, 50))
    image = _enlarged(cells)
    for k, (row, column, _) in enumerate(poses):
        _centre(image, row, column)[:] = _LAST if k == len(poses) - 1 else _WAY
    return image


def _map(walls: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """The first principal component of what the cells hold: its sign, towards walls, a colour."""
    held = np.square(learned).sum(-1) > 1e-3
    cells = np.full((*walls.shape, 3), 255.0)
    if held.any():
        vectors = learned[held] - learned[held].mean(0)
        component = vectors @ np.linalg.svd(vectors, full_matrices=False)[2][0]
        there = walls[held]
        if there.any() and not there.all():
            component = component * np.sign(component[~there].mean() - component[there].mean())
        size = _LEAST + (1 - _LEAST) * np.abs(component) / (np.abs(component).max() or 1)
        cells[held] = 255 + size[:, None] * (_SIDES[(component > 0).astype(int)] - 255)
    image = _enlarged(cells)
    for row, column in np.argwhere(walls):
        top, left = row * _CELL, column * _CELL
        block = image[top : top + _CELL, left : left + _CELL]
        block[[0, -1]] = block[:, [0, -1]] = _WALL
    return image


def _enlarged(cells: np.ndarray) -> np.ndarray:
    return cells.repeat(_CELL, 0).repeat(_CELL, 1)


def _centre(image: np.ndarray, row: int, column: int) -> np.ndarray:
    third = _CELL // 3
    top, left = row * _CELL + third, column * _CELL + third
    return image[top : top + third, left : left + third]
