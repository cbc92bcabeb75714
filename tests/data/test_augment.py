"""Augmentation against loops over pixels, numpy's own rotations, and scipy."""

import colorsys

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from nets.data import augment


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 7, 9, 3), dtype=np.uint8)


def still(b: int, dy: float = 0, dx: float = 0, angle: float = 0) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.tile([[c, s, dy], [-s, c, dx]], (b, 1, 1))


def test_flip_mirrors_about_half_of_the_images_and_leaves_the_rest():
    images = np.random.default_rng(0).integers(0, 256, (400, 3, 4, 2), dtype=np.uint8)
    flipped, _ = augment.flip(images, np.random.default_rng(1))
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, images, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert flipped.dtype == np.uint8
    assert np.logical_xor(mirrored, same).all()
    assert 160 < sum(mirrored) < 240  # four standard deviations of a fair coin


def test_pad_crop_is_a_window_of_the_padded_image(images):
    pad, fill = 2, 77
    cropped, _ = augment.pad_crop(images, np.random.default_rng(3), pad, fill)
    assert cropped.shape == images.shape and cropped.dtype == images.dtype
    for image, found in zip(images, cropped, strict=True):
        big = np.full((7 + 2 * pad, 9 + 2 * pad, 3), fill, np.uint8)
        for i in range(7):
            for j in range(9):
                big[i + pad, j + pad] = image[i, j]
        windows = [
            big[i : i + 7, j : j + 9] for i in range(2 * pad + 1) for j in range(2 * pad + 1)
        ]
        assert any(np.array_equal(found, window) for window in windows)


def test_pad_crop_reaches_every_place_evenly():
    image = np.zeros((5000, 3, 3, 1), np.uint8)
    image[:, 1, 1] = 1
    cropped, _ = augment.pad_crop(image, np.random.default_rng(0), 1)
    places = cropped.reshape(5000, 9).argmax(1)
    counts = np.bincount(places, minlength=9)
    assert abs(counts - 5000 / 9).max() < 4.5 * np.sqrt(5000 / 9)


@pytest.mark.parametrize("channels", [1, 3])
def test_warp_without_movement_is_the_identity(images, channels):
    images = images[..., :channels]
    assert np.array_equal(augment.warp(images, still(6)), images.astype(np.float32))


def test_warp_by_a_right_angle_is_rot90(images):
    square = images[:, :, :7]
    turned = augment.warp(square, still(6, angle=np.pi / 2), fill=9)
    np.testing.assert_allclose(turned, np.rot90(square, axes=(1, 2)), atol=1e-3)


@pytest.mark.parametrize("dy, dx", [(2, -3), (-1, 0), (0, 4), (20, 0), (0, -9)])
def test_warp_by_whole_pixels_is_a_slice(images, dy, dx):
    moved = augment.warp(images, still(6, dy, dx), fill=5)
    big = np.full((6, 7 + 60, 9 + 60, 3), 5, np.uint8)
    big[:, 30:37, 30:39] = images
    assert np.array_equal(moved, big[:, 30 + dy : 37 + dy, 30 + dx : 39 + dx])


@pytest.mark.parametrize("channels", [1, 3])
def test_warp_equals_scipys_bilinear_transform(images, channels):
    images = images[..., :channels]
    matrices = np.random.default_rng(2).normal(size=(6, 2, 3)) + np.eye(2, 3)
    found = augment.warp(images, matrices, fill=40)
    middle = np.array([3.0, 4.0])
    for image, matrix, warped in zip(images, matrices, found, strict=True):
        offset = middle + matrix[:, 2] - matrix[:, :2] @ middle
        for c in range(channels):
            expected = affine_transform(
                image[..., c].astype(np.float64), matrix[:, :2], offset,
                order=1, mode="grid-constant", cval=40,
            )  # fmt: skip
            np.testing.assert_allclose(warped[..., c], expected, atol=0.01)


def test_affine_turns_as_far_as_asked_and_no_farther():
    """The brightest spot of a bright pixel, 20 pixels right of the middle, gives the angle."""
    images = np.zeros((300, 61, 61, 1), np.float32)
    images[:, 28:33, 48:53] = 1
    turned, _ = augment.affine(images, np.random.default_rng(0), rotate=30)
    turned = turned[..., 0]
    mass, ij = turned.sum((1, 2)), np.arange(61) - 30
    i, j = (turned.sum(2) @ ij) / mass, (turned.sum(1) @ ij) / mass
    angles = np.rad2deg(np.arctan2(-i, j))
    assert -30.1 < angles.min() < -28 and 28 < angles.max() < 30.1
    np.testing.assert_allclose(np.hypot(i, j), 20, atol=0.1)


def test_affine_moves_and_scales_as_far_as_asked():
    images = np.zeros((400, 41, 41, 1), np.float32)
    images[:, 16:25, 16:25] = 1
    ij = np.arange(41) - 20
    moved, _ = augment.affine(images, np.random.default_rng(0), shift=3)
    moved = moved[..., 0]
    for offset in (moved.sum(2) @ ij / 81, moved.sum(1) @ ij / 81):
        assert -3.001 < offset.min() < -2.9 and 2.9 < offset.max() < 3.001
    images = np.zeros((400, 61, 61, 1), np.float32)
    images[:, 26:35, 38:47] = 1  # 12 pixels right of the middle
    scaled, _ = augment.affine(images, np.random.default_rng(0), scale=0.5)
    scaled = scaled[..., 0]
    zoom = scaled.sum(1) @ (np.arange(61) - 30) / scaled.sum((1, 2)) / 12
    assert 0.48 < zoom.min() < 0.52 and 1.48 < zoom.max() < 1.52


@pytest.mark.parametrize(
    "change",
    [
        lambda x, rng: augment.flip(x, rng)[0],
        lambda x, rng: augment.pad_crop(x, rng, 2)[0],
        lambda x, rng: augment.affine(x, rng, 10, 2, 0.1)[0],
    ],
)
def test_changes_are_functions_of_the_generator_alone(images, change):
    before = images.copy()
    first, again = (change(images, np.random.default_rng((4, 9))) for _ in range(2))
    other = change(images, np.random.default_rng((4, 10)))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(images, before)


def test_colour_jitter_by_hand():
    """Grey of two values, mean 100: brightness scales the mean, contrast what is about it."""
    images = np.full((400, 4, 4, 3), 50, np.uint8)
    images[:, :2] = 150
    found = augment.colour_jitter(images, np.random.default_rng(0), 0.4).astype(float)
    assert np.array_equal(found[..., 0], found[..., 1])  # saturation leaves grey alone
    mean = found.mean((1, 2, 3))
    brightness, contrast = mean / 100, (found[:, 0, 0, 0] - found[:, 3, 0, 0]) / mean
    for factor in (brightness, contrast):
        assert 0.58 < factor.min() < 0.62 and 1.38 < factor.max() < 1.42
        np.testing.assert_allclose(factor.mean(), 1, atol=0.03)
    assert abs(np.corrcoef(brightness, contrast)[0, 1]) < 0.15


def test_colour_jitter_moves_colours_from_and_to_their_grey():
    images = np.zeros((300, 2, 2, 3), np.uint8) + np.array([120, 80, 80], np.uint8)
    found = augment.colour_jitter(images, np.random.default_rng(0), 0.4).astype(float)[:, 0, 0]
    grey = found @ [0.299, 0.587, 0.114]
    chroma = (
        (found[:, 0] - found[:, 1]) / grey / (40 / 91.96)
    )  # of one colour: contrast does so too
    assert 0.35 < chroma.min() < 0.5 and 1.7 < chroma.max() < 2.0
    assert 0.55 < (grey / 91.96).min() < 0.65 and 1.35 < (grey / 91.96).max() < 1.45


def test_colour_noise_has_the_published_components():
    vectors = augment.PRINCIPAL_VECTORS
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-3)
    images = np.random.default_rng(1).integers(0, 256, (20_000, 1, 2, 3), dtype=np.uint8)
    added = augment.colour_noise(images, np.random.default_rng(0), 0.1) - images
    np.testing.assert_allclose(added[:, 0, 0], added[:, 0, 1], atol=1e-4)  # all pixels alike
    along = added[:, 0, 0] @ vectors
    # a tenth of the components' values, white being 255
    np.testing.assert_allclose(along.std(0), [5.546, 0.4794, 0.1148], rtol=0.03)
    np.testing.assert_allclose(along.mean(0), 0, atol=0.15)


def test_exposure_and_saturation_are_those_of_colorsys():
    """Each image has one factor of the value and one of the saturation, as far as they can go."""
    images = np.random.default_rng(0).integers(0, 256, (300, 2, 3, 3), dtype=np.uint8)
    images[:, 0, 0] = 9 * (np.arange(300)[:, None] % 2)  # grey and black stay so
    images[:, 0, 1] = 168, 90, 130  # neither factor is cut off here
    changed = augment.exposure(images, np.random.default_rng(1), 1.5, 2.0)
    assert changed.dtype == np.uint8
    found = []
    for image, after in zip(images, changed, strict=True):
        brighter = after[0, 1].max() / 168
        deeper = (1 - after[0, 1].min() / after[0, 1].max()) / (1 - 90 / 168)
        found.append((brighter, deeper))
        for before, pixel in zip(image.reshape(-1, 3), after.reshape(-1, 3), strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*before / 255)
            wanted = colorsys.hsv_to_rgb(hue, min(1, saturation * deeper), min(1, value * brighter))
            np.testing.assert_allclose(pixel, 255 * np.array(wanted), atol=4)  # factors are rounded
    brighter, deeper = np.array(found).T
    for factor, most in ((brighter, 1.5), (deeper, 2.0)):
        assert factor.min() == pytest.approx(1 / most, abs=0.04)
        assert factor.max() == pytest.approx(most, abs=0.08)
        assert 110 < (factor > 1).sum() < 190
