"""Images at several scales, as differences; colours and contrast before a network.

Burt and Adelson, The Laplacian Pyramid as a Compact Image Code, IEEE Transactions on Communications
1983.
"""

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.checks import check_at_least
from nets.layers.pooling import average_pool

YUV = np.array([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])
"""Y, U and V of red, green and blue, a row each (ITU-R BT.601)."""


def rgb_to_yuv(x: jax.Array) -> jax.Array:
    """Y, U and V of images x [..., 3] of red, green and blue.

    >>> rgb_to_yuv(jnp.ones((1, 1, 3))).round(3).ravel().tolist()
    [1.0, 0.0, 0.0]
    """
    return x @ jnp.asarray(YUV.T, x.dtype)


def laplacian_pyramid(x: jax.Array, levels: int) -> list[jax.Array]:
    """The differences of x [B, H, W, C] from its smoothed version, level by level, largest first.

        l_i = g_i - expand(g_(i+1)),    g_(i+1) = reduce(g_i),    the last level is g itself

    `reduce` takes every second position after the filter (1, 4, 6, 4, 1) / 16 along both axes,
    beyond the border the nearest value; `expand` is its transpose, scaled. Level i is
    [B, ceil(H / 2^i), ceil(W / 2^i), C]; the inverse is `from_laplacian_pyramid`.

        >>> [level.shape for level in laplacian_pyramid(jnp.ones((1, 9, 12, 3)), 3)]
        [(1, 9, 12, 3), (1, 5, 6, 3), (1, 3, 3, 3)]

    Raises:
        ValueError: `levels` is below 1.
    """
    check_at_least("levels", levels, 1)
    made = []
    for _ in range(levels - 1):
        smaller = _reduced(_reduced(x, 1), 2)
        made.append(x - _enlarged(smaller, x.shape[1:3]))
        x = smaller
    return [*made, x]


def from_laplacian_pyramid(levels: list[jax.Array]) -> jax.Array:
    """The image [B, H, W, C] of which these are the `laplacian_pyramid`."""
    *larger, x = levels
    for level in reversed(larger):
        x = level + _enlarged(x, level.shape[1:3])
    return x


def local_contrast_norm(x: jax.Array, window: int) -> jax.Array:
    """x [B, H, W, C] with mean 0 and deviation 1 in the window around each pixel, by channels.

    The deviation that divides is at least its mean over the image, so that noise in flat regions is
    not enlarged (Jarrett et al. 2009). The window is cut off at the border.

        >>> local_contrast_norm(jnp.ones((1, 8, 8, 1)), 3).any().item()
        False
    """
    x = x - average_pool(x, window, 1, "SAME")
    deviation = jnp.sqrt(average_pool(x * x, window, 1, "SAME") + 1e-12)
    return x / jnp.maximum(jnp.maximum(deviation, deviation.mean((1, 2), keepdims=True)), 1e-5)


def _padded(x: jax.Array, axis: int, width: int) -> jax.Array:
    pads = [(0, 0)] * x.ndim
    pads[axis] = (width, width)
    return jnp.pad(x, pads, mode="edge")


def _reduced(x: jax.Array, axis: int) -> jax.Array:
    n, x = x.shape[axis], _padded(x, axis, 2)
    taps = (jax.lax.slice_in_dim(x, t, t + n, 2, axis) for t in range(5))
    return sum(tap * weight for tap, weight in zip(taps, (1, 4, 6, 4, 1), strict=True)) / 16


def _enlarged(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    for axis, n in enumerate(size, 1):
        m, padded = x.shape[axis], _padded(x, axis, 1)
        before, here, after = (jax.lax.slice_in_dim(padded, t, t + m, 1, axis) for t in range(3))
        pairs = jnp.stack([(before + 6 * here + after) / 8, (here + after) / 2], axis + 1)
        x = pairs.reshape(*x.shape[:axis], 2 * m, *x.shape[axis + 1 :])
        x = jax.lax.slice_in_dim(x, 0, n, 1, axis)
    return x
