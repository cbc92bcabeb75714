"""What is cut out of an image of any size, as a box, and made a square of a given side.

A box is (left, top, right, bottom) in pixels, not always whole ones, of an image [H, W, C].
"""

import math

import numpy as np

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

    The length is drawn evenly from the whole numbers from short_side[0] to short_side[1], the place
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


def resize(image: np.ndarray, box: Box, side: int) -> np.ndarray:
    """What is in the box of an image [H, W, C] uint8 as [side, side, C], bilinear, antialiased."""
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    # a box that ends at the border may pass it by a rounding error, which PIL refuses
    inside = (
        max(box[0], 0),
        max(box[1], 0),
        min(box[2], picture.width),
        min(box[3], picture.height),
    )
    cut = picture.resize((side, side), Image.Resampling.BILINEAR, inside)
    return np.asarray(cut).reshape(side, side, image.shape[-1])
