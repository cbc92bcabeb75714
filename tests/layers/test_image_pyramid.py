"""The Laplacian pyramid by a plain loop, perfect reconstruction, colours and local contrast."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.image_pyramid import (
    from_laplacian_pyramid,
    laplacian_pyramid,
    local_contrast_norm,
    rgb_to_yuv,
)

WEIGHTS = np.array([1, 4, 6, 4, 1]) / 16


def reduced(x):
    """Burt and Adelson's equation 1: g'(i) = sum_m w(m) g(2i + m)."""
    out = np.zeros(((len(x) + 1) // 2, (x.shape[1] + 1) // 2))
    for i, j in np.ndindex(*out.shape):
        for m in range(-2, 3):
            for n in range(-2, 3):
                row = min(max(2 * i + m, 0), len(x) - 1)
                column = min(max(2 * j + n, 0), x.shape[1] - 1)
                out[i, j] += WEIGHTS[m + 2] * WEIGHTS[n + 2] * x[row, column]
    return out


def expanded(x, size):
    """Equation 2: g(i) = 4 sum_m w(m) g'((i - m) / 2), over the m for which this is a position."""
    out = np.zeros(size)
    for i, j in np.ndindex(*size):
        for m in range(-2, 3):
            for n in range(-2, 3):
                if (i - m) % 2 == 0 and (j - n) % 2 == 0:
                    row = min(max((i - m) // 2, 0), len(x) - 1)
                    column = min(max((j - n) // 2, 0), x.shape[1] - 1)
                    out[i, j] += 4 * WEIGHTS[m + 2] * WEIGHTS[n + 2] * x[row, column]
    return out


@pytest.mark.parametrize("size", [(8, 12), (7, 10), (5, 1)])
def test_a_pyramid_is_that_of_a_plain_loop(size):
    x = np.random.default_rng(0).normal(size=size)
    image = jnp.array(x[None, ..., None], jnp.float32)
    found = jax.jit(functools.partial(laplacian_pyramid, levels=3))(image)
    for level in found[:-1]:
        smaller = reduced(x)
        want = x - expanded(smaller, x.shape)
        np.testing.assert_allclose(level[0, ..., 0], want, atol=1e-5)
        x = smaller
    np.testing.assert_allclose(found[-1][0, ..., 0], x, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 24), (9, 13), (1, 3)])
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_a_pyramid_gives_the_image_back(size, levels):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)

    @jax.jit
    def both(x):
        pyramid = laplacian_pyramid(x, levels)
        assert len(pyramid) == levels
        return from_laplacian_pyramid(pyramid)

    np.testing.assert_allclose(both(x), x, atol=1e-5)


def test_a_pyramid_has_at_least_one_level():
    with pytest.raises(ValueError, match="levels must be at least 1, got 0"):
        laplacian_pyramid(jnp.ones((1, 4, 4, 1)), 0)


def test_colours_are_those_of_television():
    x = np.random.default_rng(0).uniform(size=(5, 3)).astype(np.float32)
    red, green, blue = x.T
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    want = np.stack([y, 0.492 * (blue - y), 0.877 * (red - y)], -1)
    np.testing.assert_allclose(rgb_to_yuv(x), want, atol=1e-3)


def test_neighbourhoods_are_normalised_by_a_plain_loop():
    x = np.random.default_rng(0).normal(3, 2, size=(1, 9, 8, 2)).astype(np.float32)
    x[:, 5:] *= 0.01  # nearly flat: the mean deviation divides
    around = [
        (slice(max(i - 1, 0), i + 2), slice(max(j - 1, 0), j + 2)) for i, j in np.ndindex(9, 8)
    ]
    centred = x - np.stack([x[0, a, b].mean((0, 1)) for a, b in around]).reshape(x.shape)
    deviation = np.sqrt(
        np.stack([(centred[0, a, b] ** 2).mean((0, 1)) for a, b in around]).reshape(x.shape)
    )
    want = centred / np.maximum(deviation, deviation.mean((0, 1, 2)))
    np.testing.assert_allclose(
        jax.jit(local_contrast_norm, static_argnums=1)(x, 3), want, atol=1e-4
    )
