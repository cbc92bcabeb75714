"""Boxes that are cut out of an image of any size, and examples cut and resized.

A box is (left, top, right, bottom) in pixels, not always integers, of an image [H, W, C].
"""

import math

import numpy as np

from nets.data.annotations import Example, Size, resizing

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


def letterbox(example: Example, size: Size, fill: int = 0, void: int = 0) -> Example:
    """The example resized as far as it fits into an image of this size, at its upper left.

    Its aspect ratio stays, to whole pixels; the rest is `fill`, and `void` in masks.
    """
    height, width, channels = example.image.shape
    scale = min(size[0] / height, size[1] / width)
    part = max(1, round(height * scale)), max(1, round(width * scale))
    box = 0, 0, width, height
    image = np.full((*size, channels), fill, np.uint8)
    image[: part[0], : part[1]] = resize(example.image, box, part)
    return example.moved(image, resizing(box, part), void)


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
