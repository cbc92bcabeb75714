"""Synthetic scenes: two coloured shapes on textured ground, their masks and boxes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SIDE = 64  # pixels
SIZES = {"small": (5, 6), "large": (10, 12)}  # minimum and maximum radius in pixels
COLOURS = {
    "red": (230, 25, 25),
    "green": (25, 190, 25),
    "blue": (40, 60, 240),
    "yellow": (240, 220, 20),
    "magenta": (230, 30, 220),
    "cyan": (20, 220, 230),
}
SHAPES = ("circle", "square", "triangle", "diamond", "cross")
RELATIONS = ("above", "below", "left of", "right of")  # of the first object to the second
APART = 2  # minimum of pixels between the boxes, along the axis of the relation
MARGIN = 4  # minimum of pixels by which centres are further apart along this axis than across it
_FOLDS = {"train": range(8), "validation": range(8, 9), "test": range(9, 10)}
_GRID = 6  # a side of the ground's coarse noise


class Layout(NamedTuple):
    """The objects of B scenes, all int64."""

    objects: np.ndarray  # [B, 2, 3]: size, colour and shape, by their indices in the names above
    centres: np.ndarray  # [B, 2, 2]: row and column
    radii: np.ndarray  # [B, 2]: an object's box has sides of 2 radius + 1


def layout(rngs: Sequence[np.random.Generator], split: str) -> Layout:
    """One scene from each generator: two objects that differ in size, colour or shape."""
    chosen = np.stack([rng.random(4) for rng in rngs])
    counts = len(SIZES), len(COLOURS), len(SHAPES)
    kinds = np.prod(counts)
    first = _integers(chosen[:, 0], kinds)
    second = (first + 1 + _integers(chosen[:, 1], kinds - 1)) % kinds
    objects = np.stack(np.unravel_index(np.stack([first, second], 1), counts), -1)
    return place(rngs, objects, chosen[:, 2:], split)


def place(
    rngs: Sequence[np.random.Generator],
    objects: np.ndarray,
    sizes: np.ndarray,
    split: str,
    relation: np.ndarray | None = None,
) -> Layout:
    """Scenes of given objects, one from each generator.

    Both objects lie wholly inside the image and, by rejection, neither hides any of the other:
    their boxes are APART. Exactly one relation holds, by MARGIN. A scene belongs to a split by
    where its objects are, so no two splits share one.

    Args:
        rngs: the generators.
        objects: [B, 2, 3], size, colour and shape.
        sizes: [B, 2] in [0, 1): where an object's radius lies between those of its size.
        split: that of the scenes.
        relation: [B], the index in RELATIONS of that of the first object to the second. None leaves
            it open.
    """
    low, high = np.array(list(SIZES.values()))[objects[..., 0]].transpose(2, 0, 1)
    radii = low + _integers(sizes, high - low + 1)
    centres, pending = np.zeros((len(rngs), 2, 2), int), np.arange(len(rngs))
    while len(pending):
        uniform = np.stack([rngs[k].random((2, 2)) for k in pending])
        r = radii[pending][..., None]
        drawn = r + _integers(uniform, SIDE - 2 * r)
        centres[pending] = drawn if relation is None else _turned(drawn, relation[pending])
        pending = pending[~_valid(centres[pending], radii[pending], split)]
    return Layout(objects, centres, radii)


def relations(centres: np.ndarray) -> np.ndarray:
    """Indices in RELATIONS [B]: that of the first object to the second."""
    away = centres[:, 0] - centres[:, 1]
    axis = np.abs(away).argmax(1)
    return 2 * axis + (away[np.arange(len(away)), axis] > 0)


def _turned(centres: np.ndarray, relation: np.ndarray) -> np.ndarray:
    """Centres [B, 2, 2], mirrored so that these relations [B] hold."""
    across = (relations(centres) // 2 != relation // 2)[:, None, None]
    turned = np.where(across, centres[..., ::-1], centres)
    axis, other = relation // 2, relations(turned) != relation
    turned[other, :, axis[other]] = SIDE - 1 - turned[other, :, axis[other]]
    return turned


def masks(scene: Layout) -> np.ndarray:
    """The pixels of each object, [B, 2, SIDE, SIDE] bool."""
    pixels = np.arange(SIDE, dtype=np.int16)
    r = scene.radii.astype(np.int16)[..., None, None]
    row, column = (scene.centres.astype(np.int16)[..., i, None] for i in (0, 1))
    dy, dx = (pixels - row)[..., :, None], (pixels - column)[..., None, :]
    y, x = np.abs(dy), np.abs(dx)
    box = (y <= r) & (x <= r)
    drawn = {
        "circle": y * y + x * x <= r * r + r,  # of radius r + 1/2, its centre in a pixel's
        "square": box,
        "triangle": box & (2 * x <= dy + r),  # on its base
        "diamond": y + x <= r,
        "cross": box & (np.minimum(y, x) <= r // 3),
    }
    shape = scene.objects[..., 2, None, None]
    return np.select(
        [shape == i for i in range(len(SHAPES))], [drawn[name] for name in SHAPES], False
    )


def boxes(pixels: np.ndarray) -> np.ndarray:
    """The smallest boxes around masks [..., H, W]: corners x0, y0, x1, y1, [..., 4] float32."""
    edges = []
    for axis in (-1, -2):  # any pixel in a row, in a column
        line = pixels.any(axis)
        edges.append((line.argmax(-1), line.shape[-1] - line[..., ::-1].argmax(-1)))
    (top, bottom), (left, right) = edges
    return np.stack([left, top, right, bottom], -1).astype(np.float32)


def images(rngs: Sequence[np.random.Generator], scene: Layout, pixels: np.ndarray) -> np.ndarray:
    """Scenes as RGB [B, SIDE, SIDE, 3] uint8.

    An object is flat, of its colour at 80% to 100% of its brightness. The ground is noise, coarse
    in muted colours and fine in grey, below 200.

    Args:
        rngs: those that the layout was made by.
        scene: the layout.
        pixels: its masks.
    """
    coarse = np.stack([rng.random((_GRID, _GRID, 3), np.float32) for rng in rngs])
    fine = np.stack([rng.random((SIDE, SIDE, 1), np.float32) for rng in rngs])
    bright = np.stack([rng.random((2, 1), np.float32) for rng in rngs])
    grey = 40 + 100 * coarse[..., :1] + 30 * (coarse - 0.5)
    along = between(_GRID, SIDE)
    smooth = np.matmul(along, grey.reshape(len(rngs), _GRID, -1)).reshape(-1, _GRID, 3)
    drawn = np.matmul(along, smooth).reshape(len(rngs), SIDE, SIDE, 3) + 40 * fine
    image = drawn.astype(np.uint8)
    colours = np.array(list(COLOURS.values()))[scene.objects[..., 1]] * (0.8 + 0.2 * bright)
    for k in (0, 1):
        np.copyto(image, colours[:, k, None, None].astype(np.uint8), where=pixels[:, k, ..., None])
    return image


def _integers(uniform: np.ndarray, n: np.ndarray | int) -> np.ndarray:
    """Uniform numbers in [0, 1) as integers in 0 to n - 1."""
    return (uniform * n).astype(int)


def _valid(centres: np.ndarray, radii: np.ndarray, split: str) -> np.ndarray:
    along, across = np.sort(np.abs(centres[:, 0] - centres[:, 1]), 1).T[::-1]
    free = along - radii.sum(1) - 1  # pixels between the boxes
    clear = (free >= APART) & (along >= across + MARGIN)
    return clear & np.isin(centres.reshape(-1, 4) @ [1, 3, 7, 9] % 10, _FOLDS[split])


def between(coarse: int, fine: int) -> np.ndarray:
    """The matrix [fine, coarse] of linear interpolation."""
    positions = np.linspace(0, coarse - 1, fine)[:, None]
    return np.maximum(0, 1 - np.abs(positions - np.arange(coarse))).astype(np.float32)
