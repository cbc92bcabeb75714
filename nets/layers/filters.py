"""Filters that are not learnt: kernels as NumPy arrays, and their use on images and signals.

`apply_filter` correlates, as every convolution here: a kernel lies on the image as it is printed.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from nets.layers.conv import convolve
from nets.layers.conv_windows import Padding


def apply_filter(x: jax.Array, kernel: ArrayLike, padding: Padding = "SAME") -> jax.Array:
    """Filters each channel of x [B, *spatial, C] by itself with the kernel [*window].

    The result is [B, *spatial', C], of the type of x.

    Raises:
        ValueError: the kernel has not as many axes as x has spatial ones, or is too large.
    """
    kernel = np.asarray(kernel)
    if x.ndim != kernel.ndim + 2:
        raise ValueError(
            f"a kernel {kernel.shape} takes x of {kernel.ndim + 2} axes, [B, *spatial, C], not "
            f"{x.shape}"
        )
    channels = x.shape[-1]
    kernel = np.repeat(kernel[..., None, None], channels, axis=-1)
    return convolve(x, jnp.asarray(kernel, x.dtype), padding=padding, groups=channels)


def box(size: int) -> np.ndarray:
    """The mean of size x size pixels.

    Raises:
        ValueError: `size` is below 1.
    """
    return np.outer(*[np.full(_checked(size), 1 / size)] * 2)


def gaussian(size: int, sigma: float) -> np.ndarray:
    """A bell size x size of standard deviation `sigma` in pixels, cut off there, with sum 1.

    Raises:
        ValueError: `size` is below 1, or `sigma` is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma={sigma}: a standard deviation is positive")
    away = np.arange(_checked(size)) - (size - 1) / 2
    bell = np.exp(-np.square(away / sigma) / 2)
    return np.outer(*[bell / bell.sum()] * 2)


def edge() -> np.ndarray:
    """The Laplacian over the four neighbours, [3, 3]: a second derivative, with sum 0."""
    return np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def sharpen() -> np.ndarray:
    """The image less its Laplacian, [3, 3], with sum 1."""
    return np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])


def sobel() -> tuple[np.ndarray, np.ndarray]:
    """Slopes along the rows' direction x and the columns' direction y, each [3, 3].

    They are 8 times the slope per pixel, positive where the image brightens to the right, and
    downwards.
    """
    x = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
    return x, x.T


def matched_filter(pulse: ArrayLike) -> np.ndarray:
    """The filter that finds a pulse [n] in noise: reversed in time, and of unit energy.

    To convolve a signal with it (`np.convolve`, or `nets.layers.conv.Conv` with `flip`) is
    to correlate the signal with the pulse; `apply_filter`, which correlates, takes it reversed
    once more. In white noise no linear filter has a greater ratio of signal to noise at its peak,
    which is as high as the root of the pulse's energy (North 1943).

    Raises:
        ValueError: the pulse is not a sequence of numbers, or is zero everywhere.
    """
    pulse = np.asarray(pulse, float)
    if pulse.ndim != 1 or not pulse.any():
        raise ValueError(f"a pulse is [n] and has energy, not {pulse.shape} of {np.sum(pulse**2)}")
    return pulse[::-1] / np.linalg.norm(pulse)


def cosine_patches(key: jax.Array, shape: Sequence[int], dtype: DTypeLike) -> jax.Array:
    """A kernel [n, n, C, n^2 C] that takes the cosine transform of patches; an initialiser.

    Its filters are orthonormal: products of two cosines (of the type II, the basis of JPEG) and,
    for three channels, of an opponent colour: brightness, red less blue, green less both; for
    other numbers of channels, of a cosine over these. The lowest frequencies come first, of each
    all colours. The principal components of patches of pictures are nearly these (Ahmed, Natarajan
    and Rao 1974).

    Args:
        key: not used, as nothing is drawn.
        shape: of the kernel.
        dtype: type of the kernel.

    Raises:
        ValueError: the shape is another.
    """
    n, m, channels, features = shape
    if n != m or features != n * n * channels:
        raise ValueError(f"a cosine transform has a kernel [n, n, C, n^2 C], not {list(shape)}")
    place, colour = _cosines(n), _cosines(channels)
    if channels == 3:
        colour = np.array([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / np.sqrt([[3], [2], [6]])
    u, v, _ = np.indices((n, n, channels)).reshape(3, -1)
    kernel = np.einsum("ui,vj,kc->ijcuvk", place, place, colour).reshape(shape)
    return jnp.asarray(kernel[..., np.argsort(u + v, kind="stable")], dtype)


def _cosines(n: int) -> np.ndarray:
    """The orthonormal cosine transform of n values, [frequency, place]."""
    k, i = np.ogrid[:n, :n]
    rows = np.cos(np.pi * k * (2 * i + 1) / (2 * n)) * np.sqrt(2 / n)
    rows[0] /= np.sqrt(2)
    return rows


def _checked(size: int) -> int:
    if size < 1:
        raise ValueError(f"size={size}: a kernel has at least one pixel a side")
    return size
