"""Fixed filters: kernels as NumPy arrays, and a function that applies them.

`apply_filter` correlates, as every convolution here: it does not mirror the kernel.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from nets.layers.checks import check_at_least, check_positive
from nets.layers.conv import convolve
from nets.layers.conv_windows import Padding


def apply_filter(x: jax.Array, kernel: ArrayLike, padding: Padding = "SAME") -> jax.Array:
    """Filters each channel of x [B, *spatial, C] with the same kernel [*window].

    The result is [B, *spatial', C], with the dtype of x.

        >>> apply_filter(jnp.ones((1, 8, 8, 3)), sharpen()).shape
        (1, 8, 8, 3)

    Raises:
        ValueError: the kernel has another number of axes than x has spatial axes, or is too large.
    """
    kernel = np.asarray(kernel)
    if x.ndim != kernel.ndim + 2:
        raise ValueError(
            f"x must be [B, *spatial, C] with {kernel.ndim + 2} axes for a kernel "
            f"{list(kernel.shape)}, got shape {list(x.shape)}"
        )
    channels = x.shape[-1]
    kernel = np.repeat(kernel[..., None, None], channels, axis=-1)
    return convolve(x, jnp.asarray(kernel, x.dtype), padding=padding, groups=channels)


def box(size: int) -> np.ndarray:
    """The mean of size x size pixels.

        >>> box(2).tolist()
        [[0.25, 0.25], [0.25, 0.25]]

    Raises:
        ValueError: `size` is below 1.
    """
    check_at_least("size", size, 1)
    return np.outer(*[np.full(size, 1 / size)] * 2)


def gaussian(size: int, sigma: float) -> np.ndarray:
    """A truncated Gaussian, size x size, with standard deviation `sigma` in pixels and sum 1.

        >>> gaussian(3, 1.0).sum().round(6).item()
        1.0

    Raises:
        ValueError: `size` is below 1, or `sigma` is not positive.
    """
    check_at_least("size", size, 1)
    check_positive("sigma", sigma)
    offsets = np.arange(size) - (size - 1) / 2
    bell = np.exp(-np.square(offsets / sigma) / 2)
    return np.outer(*[bell / bell.sum()] * 2)


def edge() -> np.ndarray:
    """The Laplacian over the four neighbours, [3, 3]: a second derivative, with sum 0.

    >>> edge().sum().item()
    0.0
    """
    return np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def sharpen() -> np.ndarray:
    """The image minus its Laplacian, [3, 3], with sum 1.

    >>> sharpen().sum().item()
    1.0
    """
    return np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])


def sobel() -> tuple[np.ndarray, np.ndarray]:
    """Horizontal and vertical derivative, each [3, 3].

    They are 8 times the derivative per pixel, positive where the image gets brighter to the right,
    and downwards.

        >>> horizontal, vertical = sobel()
        >>> horizontal[0].tolist()
        [-1.0, 0.0, 1.0]
    """
    x = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
    return x, x.T


def kernels() -> dict[str, np.ndarray]:
    """Six kernels [3, 3] by name, as tables of image processing print them.

    Edges of both diagonals (the mixed derivative, times 4), the Laplacian over 4 and, negative,
    over 8 neighbours, the sharpened image, and two means.

        >>> list(kernels())
        ['diagonal_edges', 'edges_4', 'edges_8', 'sharpen', 'box_blur', 'gaussian_blur']
    """
    eight = np.full((3, 3), -1.0)
    eight[1, 1] = 8
    return {
        "diagonal_edges": np.outer([1.0, 0.0, -1.0], [1.0, 0.0, -1.0]),
        "edges_4": edge(),
        "edges_8": eight,
        "sharpen": sharpen(),
        "box_blur": box(3),
        "gaussian_blur": np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0]) / 16,
    }


def gabor(size: int, wavelength: float, angle: float, sigma: float | None = None) -> np.ndarray:
    """A pair of Gabor filters, [2, size, size]: a wave under a Gaussian, even and odd.

    The even one has sum 0, and both have unit energy (Daugman 1985). The root of the sum of their
    squared outputs is the local energy of that wave.

        >>> gabor(9, 4.0, 0.0).shape
        (2, 9, 9)

    Args:
        size: side in pixels.
        wavelength: of the wave, in pixels.
        angle: direction in which the wave runs, in radians from right to down.
        sigma: standard deviation of the Gaussian in pixels. None means wavelength / 2.

    Raises:
        ValueError: `size` is below 2, or `wavelength` or `sigma` is not positive.
    """
    check_at_least("size", size, 2)
    sigma = wavelength / 2 if sigma is None else sigma
    check_positive("wavelength", wavelength)
    check_positive("sigma", sigma)
    y, x = np.indices((size, size)) - (size - 1) / 2
    bell = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    phase = 2 * np.pi / wavelength * (x * np.cos(angle) + y * np.sin(angle))
    even, odd = bell * np.cos(phase), bell * np.sin(phase)
    even -= bell * even.sum() / bell.sum()
    return np.stack([f / np.linalg.norm(f) for f in (even, odd)])


def matched_filter(pulse: ArrayLike) -> np.ndarray:
    """The matched filter of a pulse [n], or of a pattern of more axes, with unit energy.

    It is reversed along every axis (North 1943).

    Convolving a signal with it (`np.convolve`, or `nets.layers.conv.Conv` with `flip`) correlates
    the signal with the pulse; `apply_filter` correlates, so reverse it once more there. In white
    noise no linear filter has a higher signal-to-noise ratio at its peak. The peak is the square
    root of the pulse's energy.

        >>> matched_filter([0.0, 3.0, 4.0]).tolist()
        [0.8, 0.6, 0.0]

    Raises:
        ValueError: the pulse is a single number, or is zero everywhere.
    """
    pulse = np.asarray(pulse, float)
    if pulse.ndim == 0 or not pulse.any():
        raise ValueError(
            f"pulse must be an array and not all zero, got shape {list(pulse.shape)} "
            f"with energy {np.sum(pulse**2)}"
        )
    return np.flip(pulse) / np.linalg.norm(pulse)


def cosine_patches(key: jax.Array, shape: Sequence[int], dtype: DTypeLike) -> jax.Array:
    """Initialiser: a kernel [n, n, C, n^2 C] that computes the cosine transform of patches.

    The filters are orthonormal: products of two cosines (type II, as in JPEG) and, for three
    channels, of an opponent colour: brightness, red minus blue, green minus both; for other numbers
    of channels, of a cosine over the channels. They are sorted by frequency, lowest first, with all
    colours of each. They approximate the principal components of image patches (Ahmed, Natarajan
    and Rao 1974).

        >>> cosine_patches(jax.random.key(0), (2, 2, 3, 12), jnp.float32).shape
        (2, 2, 3, 12)

    Args:
        key: unused, since nothing is random.
        shape: of the kernel.
        dtype: of the kernel.

    Raises:
        ValueError: the kernel has another shape.
    """
    n, m, channels, features = shape
    if n != m or features != n * n * channels:
        raise ValueError(f"the kernel must be [n, n, C, n^2 C], got {list(shape)}")
    space, colour = _cosines(n), _cosines(channels)
    if channels == 3:
        colour = np.array([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / np.sqrt([[3], [2], [6]])
    u, v, _ = np.indices((n, n, channels)).reshape(3, -1)
    kernel = np.einsum("ui,vj,kc->ijcuvk", space, space, colour).reshape(shape)
    return jnp.asarray(kernel[..., np.argsort(u + v, kind="stable")], dtype)


def _cosines(n: int) -> np.ndarray:
    """The orthonormal cosine transform of n values, [frequency, position]."""
    k, i = np.ogrid[:n, :n]
    rows = np.cos(np.pi * k * (2 * i + 1) / (2 * n)) * np.sqrt(2 / n)
    rows[0] /= np.sqrt(2)
    return rows
