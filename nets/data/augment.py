"""Random changes to a batch of images, vectorised over the batch; pure functions of the generator.

Images are [B, H, W, C] of any number type; `fill` is the pixel value of what lies outside them. A
change of positions also returns its matrices [B, 3, 3], which move annotations with the images
(`nets.data.annotations`).
"""

import numpy as np

from nets.data import annotations

PRINCIPAL_VALUES = np.array([0.2175, 0.0188, 0.0045])
PRINCIPAL_VECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
"""Principal components of ImageNet's RGB values, white being 1, as fb.resnet.torch has them: the
columns of the vectors are the directions."""


def flip(images: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors each image left to right with probability 1/2."""
    mirrored = (rng.random(len(images)) < 0.5)[:, None, None]
    matrices = np.where(mirrored, annotations.mirror(images.shape[2]), np.eye(3))
    return np.where(mirrored[..., None], images[:, :, ::-1], images), matrices


def pad_crop(
    images: np.ndarray, rng: np.random.Generator, pad: int, fill: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Pads each side by `pad` pixels and cuts the old size out at a random position.

    He et al. 2015, "Deep residual learning for image recognition", section 4.2 (`pad` 4).
    """
    b, h, w, _ = images.shape
    border = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    padded = np.pad(images, border, constant_values=fill)
    top, left = rng.integers(0, 2 * pad + 1, (2, b))
    rows = (top[:, None] + np.arange(h))[:, :, None]  # [B, H, 1]
    columns = (left[:, None] + np.arange(w))[:, None, :]  # [B, 1, W]
    matrices = [annotations.translation(pad - x, pad - y) for x, y in zip(left, top, strict=True)]
    return padded[np.arange(b)[:, None, None], rows, columns], np.stack(matrices)


def colour_jitter(images: np.ndarray, rng: np.random.Generator, maximum: float) -> np.ndarray:
    """Changes each image's brightness, contrast and saturation, in random order.

    Each is multiplied by a factor from 1 - maximum to 1 + maximum, drawn evenly: the image is
    moved from black, from its mean grey and from its own grey image away (Howard 2013, "Some
    improvements on deep convolutional neural network based image classification", section 2).

    Args:
        images: [B, H, W, C] uint8.

    Returns:
        uint8 [B, H, W, C], clipped.
    """
    from PIL import Image, ImageEnhance

    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)

    def jittered(image: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        for k in rng.permutation(len(kinds)):
            picture = kinds[k](picture).enhance(rng.uniform(1 - maximum, 1 + maximum))
        return np.asarray(picture).reshape(image.shape)

    return np.stack([jittered(image) for image in images])


def exposure(
    images: np.ndarray, rng: np.random.Generator, brightness: float, saturation: float
) -> np.ndarray:
    """Multiplies each image's value and saturation, as of hue, saturation and value, by a factor.

    Each factor is drawn evenly from 1 to its maximum and inverted half of the time (Redmon et al.
    2016, section 2.2: 1.5 and 1.5); what exceeds the range is cut off.

    Args:
        images: [B, H, W, 3] uint8.
        brightness: maximum factor of the value, at least 1.
        saturation: maximum factor of the saturation, at least 1.

    Returns:
        uint8 [B, H, W, 3].
    """
    factors = rng.uniform(1, (brightness, saturation), (len(images), 2))
    factors = np.where(rng.random((len(images), 2)) < 0.5, 1 / factors, factors)
    value_by, saturation_by = factors.astype(np.float32).T[..., None, None]  # [B, 1, 1] each
    red, green, blue = np.moveaxis(images.astype(np.float32), -1, 0)
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)  # the saturation times the value
    grown = np.minimum(saturation_by, value / np.maximum(chroma, 1e-6))
    scaled = np.minimum(value_by, 255 / np.maximum(value, 1e-6))
    grown *= scaled
    value_after = value * scaled
    changed = np.empty(images.shape, np.uint8)
    for c, channel in enumerate((red, green, blue)):
        changed[..., c] = value_after - (value - channel) * grown + 0.5
    return changed


def colour_noise(images: np.ndarray, rng: np.random.Generator, deviation: float) -> np.ndarray:
    """Adds to all pixels of an image the same random multiples of ImageNet's principal colours.

    Krizhevsky et al. 2012, section 4.1: the multiples are normal, of this deviation (the paper's is
    0.1) times a component's value.

    Args:
        images: RGB, 0 to 255.

    Returns:
        float32 [B, H, W, 3], not clipped.
    """
    multiples = rng.normal(0, deviation, (len(images), 3)) * PRINCIPAL_VALUES
    added = 255 * multiples @ PRINCIPAL_VECTORS.T  # [B, 3]
    return images + added[:, None, None].astype(np.float32)


def affine(
    images: np.ndarray,
    rng: np.random.Generator,
    rotate: float = 0,
    shift: float = 0,
    scale: float = 0,
    fill: float = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Turns, moves and enlarges each image about its middle by uniformly random amounts.

    Args:
        rotate: maximum angle, in degrees, either way.
        shift: maximum distance along each axis, in pixels, either way.
        scale: the factor of enlargement lies in 1 - scale .. 1 + scale.

    Returns:
        float32 [B, H, W, C], and matrices [B, 3, 3].
    """
    angle, dy, dx, zoom = rng.uniform(-1, 1, (4, len(images)))
    angle, zoom = np.deg2rad(rotate) * angle, 1 + scale * zoom
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    matrices = np.array([[cos, sin, shift * dy], [-sin, cos, shift * dx]])  # [2, 3, B]
    matrices = np.moveaxis(matrices, -1, 0)
    return warp(images, matrices, fill), annotations.of_warp(matrices, images.shape[1:3])


def warp(images: np.ndarray, matrices: np.ndarray, fill: float = 0) -> np.ndarray:
    """Samples each image bilinearly at affinely transformed positions.

    Pixel (i, j) of the result is the image at `matrix @ (i, j, 1)`, both in (row, column) from the
    middle of the image.

    Args:
        matrices: [B, 2, 3].

    Returns:
        float32 [B, H, W, C].
    """
    b, h, w, c = images.shape
    wide = w + 3  # one pixel of `fill` before, two after: a position outside reads nothing else
    padded = np.full((b, h + 3, wide, c), fill, np.float32)
    padded[:, 1 : h + 1, 1 : w + 1] = images
    i, j = (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in (h, w))

    def positions(row: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:  # row [B, 3]
        a, b, c = row.astype(np.float32)[:, :, None].swapaxes(0, 1)  # [B, 1] each
        position = (a * i + (c + np.float32((n + 1) / 2)))[:, :, None] + (b * j)[:, None, :]
        np.maximum(position, 0, out=position)
        np.minimum(position, n + 1, out=position)
        pixel = np.trunc(position)
        position -= pixel
        return pixel, position[..., None]  # [B, H, W], [B, H, W, 1]

    y, fraction_y = positions(matrices[:, 0], h)
    x, fraction_x = positions(matrices[:, 1], w)
    y *= wide
    y += x
    corner = y.astype(np.intp)  # the type that take uses: it converts nothing four times over
    corner += (np.arange(b) * (h + 3) * wide)[:, None, None]
    pixels = padded.reshape(-1) if c == 1 else padded.reshape(-1, c)

    def between(start: int) -> np.ndarray:
        left = np.take(pixels[start:], corner, axis=0, mode="clip").reshape(images.shape)
        right = np.take(pixels[start + 1 :], corner, axis=0, mode="clip").reshape(images.shape)
        right -= left
        right *= fraction_x
        left += right
        return left

    top, bottom = between(0), between(wide)
    bottom -= top
    bottom *= fraction_y
    top += bottom
    return top
