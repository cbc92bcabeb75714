"""Bilinear upsampling by a loop over pixels, and crops by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.conv_transpose import ConvTranspose
from nets.layers.upsampling import bilinear_init, crop, crop_add, resize_bilinear


def interpolated(x, size):
    """Each output pixel from the four inputs around its middle; beyond the border the nearest."""
    out = np.zeros((len(x), *size, x.shape[-1]))
    for i in range(size[0]):
        for j in range(size[1]):
            places = []
            for at, n, m in ((i, x.shape[1], size[0]), (j, x.shape[2], size[1])):
                middle = min(max((at + 0.5) * n / m - 0.5, 0), n - 1)
                low = min(int(middle), max(n - 2, 0))
                places.append((low, min(low + 1, n - 1), middle - low))
            (y0, y1, v), (x0, x1, u) = places
            above = (1 - u) * x[:, y0, x0] + u * x[:, y0, x1]
            below = (1 - u) * x[:, y1, x0] + u * x[:, y1, x1]
            out[:, i, j] = (1 - v) * above + v * below
    return out


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_a_transposed_convolution_starts_as_bilinear_interpolation(factor):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    window = 2 * factor - factor % 2
    layer = ConvTranspose(
        3, (window,) * 2, factor, "VALID", use_bias=False, kernel_init=bilinear_init
    )
    found = layer.init_with_output(jax.random.key(0), x)[0]
    border = (window - factor) // 2
    found = found[:, border : border + 4 * factor, border : border + 5 * factor]
    inside = slice(factor, -factor)  # outside, one of the four is missing
    want = interpolated(x, (4 * factor, 5 * factor))
    np.testing.assert_allclose(found[:, inside, inside], want[:, inside, inside], atol=1e-5)


def test_channels_of_a_bilinear_kernel_do_not_mix():
    kernel = np.asarray(bilinear_init(jax.random.key(0), (3, 4, 2, 2), jnp.float32))
    # f = 2 for both: 1 - |t - 1| / 2 and 1 - |t - 1.5| / 2
    want = np.outer([0.5, 1, 0.5], [0.25, 0.75, 0.75, 0.25])
    for i in range(2):
        np.testing.assert_allclose(kernel[..., i, i], want)
        assert not kernel[..., i, 1 - i].any()


def test_a_bilinear_kernel_needs_as_many_outputs_as_inputs():
    with pytest.raises(ValueError, match="as many output as input channels, got 2 and 3"):
        bilinear_init(jax.random.key(0), (4, 4, 2, 3), jnp.float32)


@pytest.mark.parametrize("size", [(8, 10), (7, 13), (4, 5), (5, 5)])
def test_resize_is_a_loop_over_pixels(size):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(resize_bilinear(x, size), interpolated(x, size), atol=1e-5)


def test_crops_start_at_the_offset_or_in_the_middle():
    x = np.arange(60.0).reshape(1, 6, 5, 2)
    np.testing.assert_array_equal(crop(x, (2, 3), 1), x[:, 1:3, 1:4])
    np.testing.assert_array_equal(crop(x, (2, 2)), x[:, 2:4, 1:3])
    ones = np.ones((1, 2, 3, 2))
    np.testing.assert_array_equal(crop_add(ones, x, 2), 1 + x[:, 2:4, 2:5])


@pytest.mark.parametrize(
    "size, offset, message",
    [
        ((7, 5), None, r"at most the \[6, 5\] positions of x, got \[7, 5\] from \[-1, 0\] on"),
        ((4, 4), 2, r"got \[4, 4\] from \[2, 2\] on"),
    ],
)
def test_a_crop_larger_than_the_maps_is_refused(size, offset, message):
    with pytest.raises(ValueError, match=message):
        crop(np.zeros((1, 6, 5, 2)), size, offset)
