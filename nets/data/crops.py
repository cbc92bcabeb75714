"""Boxes that are cut out of an image of any size, and examples cut and resized.

A box is (left, top, right, bottom) in pixels, not always integers, of an image [H, W, C].
"""

import math

import numpy as np

from nets.data.annotations import Example, Size, resizing, translation

Box = tuple[float, float, float, float]


def middle(height: int, width: int, share: float = 1.0) -> Box:
    """The middle square; its sides are `share` of the image's shorter one."""
    side = share * min(height, width)
    left, top = (width - side) * 0.5, (height - side) * 0.5
    return left, top, left + side, top + side


def jittered(
    rng: np.random.Generator, side: int, short_side: tuple[int, int], height: int, width: int
) -> Box:
    """A random square of `side` pixels of the image, its shorter side resized to a random length.

    The length is drawn evenly from the integers from short_side[0] to short_side[1], the position
    evenly from all of the image: Simonyan and Zisserman 2015, section 3.1 ("scale jittering").
    """
    edge = min(height, width) * side / int(rng.integers(short_side[0], short_side[1] + 1))
    left, top = rng.uniform(0, (width - edge, height - edge)).tolist()
    return left, top, left + edge, top + edge


def area(rng: np.random.Generator, height: int, width: int) -> Box:
    """A random part: 8% to 100% of the area, width over height 3/4 to 4/3.

    Szegedy et al. 2015, "Going deeper with convolutions", section 6. The logarithm of the ratio is
    drawn evenly, as torchvision does. Where ten such parts have not fitted in the image, the middle
    square is taken.
    """
    for _ in range(10):
        pixels = rng.uniform(0.08, 1) * height * width
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(0, (width - w + 1, height - h + 1)).tolist()
            return left, top, left + w, top + h
    return middle(height, width)


def crop(example: Example, box: Box, size: Size) -> Example:
    """The example that a box of its image [H, W, C] uint8 shows, resized."""
    return example.moved(resize(example.image, box, size), resizing(box, size))


def fit_middle(example: Example, size: Size, share: float = 1.0) -> Example:
    """The middle part of an example, with the aspect ratio of `size`, resized to it.

    Its sides are `share` of those of the largest such part.
    """
    height, width = example.image.shape[:2]
    aspect = size[1] / size[0]
    part = share * min(width, height * aspect), share * min(height, width / aspect)
    left, top = (width - part[0]) * 0.5, (height - part[1]) * 0.5
    return crop(example, (left, top, left + part[0], top + part[1]), size)


def letterbox(example: Example, size: Size, fill: int = 0, void: int = 0) -> Example:
    """The example resized as far as it fits into an image of this size, at its upper left.

    Its aspect ratio stays, to whole pixels; the rest is `fill`, and `void` in masks.
    """
    return place(example, fitted(example.image.shape[:2], size), (0, 0), size, fill, void)


def fitted(stored: Size, size: Size) -> Size:
    """The largest size of the aspect ratio of `stored`, to whole pixels, that fits into `size`."""
    scale = min(size[0] / stored[0], size[1] / stored[1])
    return max(1, round(stored[0] * scale)), max(1, round(stored[1] * scale))


def place(
    example: Example,
    part: Size,
    corner: tuple[int, int],
    size: Size,
    fill: int = 0,
    void: int = 0,
) -> Example:
    """The example resized, its upper left corner at a pixel of an image of another size.

    Args:
        part: height and width that the example is resized to.
        corner: row and column of its upper left; negative ones cut it off.
        size: of the result; what the example does not cover is `fill`, and `void` in masks.
    """
    height, width, channels = example.image.shape
    image = np.full((*size, channels), fill, np.uint8)
    low = [min(max(c, 0), n) for c, n in zip(corner, size, strict=True)]
    high = [min(max(c + p, 0), n) for c, p, n in zip(corner, part, size, strict=True)]
    if low[0] < high[0] and low[1] < high[1]:
        down, across = height / part[0], width / part[1]
        top, bottom = ((row - corner[0]) * down for row in (low[0], high[0]))
        left, right = ((column - corner[1]) * across for column in (low[1], high[1]))
        shape = high[0] - low[0], high[1] - low[1]
        cut = resize(example.image, (left, top, right, bottom), shape)
        image[low[0] : high[0], low[1] : high[1]] = cut
    matrix = translation(corner[1], corner[0]) @ resizing((0, 0, width, height), part)
    return example.moved(image, matrix, void)


def resize(image: np.ndarray, box: Box, size: Size) -> np.ndarray:
    """The box of an image [H, W, C] uint8 as [*size, C], bilinear, antialiased."""
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    # a box that ends at the border may pass it by a rounding error, which PIL refuses
    inside = (
        max(box[0], 0),
        max(box[1], 0),
        min(box[2], picture.width),
        min(box[3], picture.height),
    )
    cut = picture.resize(size[::-1], Image.Resampling.BILINEAR, inside)
    return np.asarray(cut).reshape(*size, image.shape[-1])
