"""The retina: crops of an image, against a plain loop, and zeros outside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.glimpse import glimpse


def plain(image: np.ndarray, location: np.ndarray, size: int, scales: int) -> np.ndarray:
    """One image [H, W, C] pixel by pixel."""
    height, width, channels = image.shape
    parts = np.zeros((scales, size, size, channels))
    for k, i, j in np.ndindex(scales, size, size):
        side, block = size * 2**k, 2**k
        # the smallest part starts at the nearest pixel, and the others as far to each side of it
        left = round((location[0] + 1) / 2 * width - size / 2) - (side - size) // 2
        top = round((location[1] + 1) / 2 * height - size / 2) - (side - size) // 2
        for a, b in np.ndindex(block, block):
            y, x = top + i * block + a, left + j * block + b
            if 0 <= y < height and 0 <= x < width:
                parts[k, i, j] += image[y, x] / block**2
    return parts


@pytest.mark.parametrize(("size", "scales"), [(3, 1), (4, 2), (5, 3)])
def test_parts_are_those_of_a_plain_loop(size, scales):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(6, 17, 23, 2)).astype(np.float32)
    locations = rng.uniform(-1.3, 1.3, (6, 2)).astype(np.float32)
    ours = jax.jit(glimpse, static_argnums=(2, 3))(images, locations, size, scales)
    theirs = [plain(*row, size, scales) for row in zip(images, locations, strict=True)]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("size", [4, 5])
def test_what_is_sharp_is_the_same_with_wider_parts_around_it(size):
    images = jnp.arange(400.0).reshape(1, 20, 20, 1).repeat(9, 0)
    locations = jnp.linspace(-0.9, 0.9, 9)[:, None] * jnp.array([[1.0, -1.0]])
    alone, sharp = (glimpse(images, locations, size, scales)[:, 0] for scales in (1, 3))
    np.testing.assert_array_equal(alone, sharp)


def test_bytes_do_not_overflow():
    parts = glimpse(jnp.full((1, 8, 8, 1), 200, jnp.uint8), jnp.zeros((1, 2)), 2, 2)
    assert (parts == 200).all() and parts.dtype == jnp.float32


@pytest.mark.parametrize(
    ("size", "scales", "message"), [(0, 1, "size must be"), (4, 0, "scales must")]
)
def test_parts_need_pixels(size, scales, message):
    with pytest.raises(ValueError, match=message):
        glimpse(jnp.ones((1, 8, 8, 1)), jnp.zeros((1, 2)), size, scales)


@pytest.mark.parametrize(
    ("images", "locations"), [((2, 8, 8), (2, 2)), ((2, 8, 8, 1), (2,)), ((2, 8, 8, 1), (3, 2))]
)
def test_images_and_locations_belong_together(images, locations):
    with pytest.raises(ValueError, match=r"must be \[B, H, W, C\] and \[B, 2\], got shapes \[2, 8"):
        glimpse(jnp.ones(images), jnp.zeros(locations), 4)


@pytest.mark.parametrize("far", [(-9.0, 0.0), (9.0, 0.0), (0.0, 9.0), (40.0, -40.0)])
def test_far_outside_of_the_image_there_is_nothing(far):
    images = jnp.ones((1, 8, 8, 1))
    assert not glimpse(images, jnp.array([far]), 4, 2).any()


def test_the_gradient_is_that_of_the_pixels_that_are_seen():
    def total(images, locations):
        return glimpse(images, locations, 2, 2).sum()

    images, locations = jnp.ones((1, 8, 8, 1)), jnp.zeros((1, 2))
    seen, moved = jax.grad(total, (0, 1))(images, locations)
    expected = np.zeros((8, 8))
    expected[2:6, 2:6] = 0.25
    expected[3:5, 3:5] += 1
    np.testing.assert_allclose(seen[0, ..., 0], expected)
    assert not moved.any()
