"""Upsampling of maps to the size of others, and cropping before they are joined.

Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation, CVPR 2015.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike


def bilinear_init(key: jax.Array, shape: Sequence[int], dtype: DTypeLike) -> jax.Array:
    """Initialiser of a transposed convolution [*window, C, C]: bilinear interpolation.

    Tap t of an axis with n taps is 1 - |t - (n - 1) / 2| / f, where f = (n + 1) // 2 (the authors'
    release); channel i goes to channel i alone. With stride f and an even n, inside the borders, it
    upsamples by the factor f.

        >>> bilinear_init(jax.random.key(0), (4, 1, 1), jnp.float32).ravel().tolist()
        [0.25, 0.75, 0.75, 0.25]

    Args:
        key: not used.
        shape: [*window, C, C].
        dtype: of the kernel.

    Raises:
        ValueError: the numbers of input and output channels differ.
    """
    *window, channels, features = shape
    if channels != features:
        raise ValueError(
            f"bilinear_init needs as many output as input channels, got {channels} and {features}"
        )
    kernel = np.ones(())
    for n in window:
        taps = 1 - np.abs(np.arange(n) - (n - 1) / 2) / ((n + 1) // 2)
        kernel = kernel[..., None] * taps
    return jnp.asarray(kernel[..., None, None] * np.eye(channels), dtype)


def resize_bilinear(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """x [B, h, w, C] at [B, H, W, C], interpolated between the middles of pixels.

    Equal to torch's `interpolate` with `mode="bilinear", align_corners=False`.

        >>> resize_bilinear(jnp.array([[[[0.0], [4.0]]]]), (1, 4)).ravel().tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    shape = (x.shape[0], *size, x.shape[-1])
    return jax.image.resize(x, shape, "bilinear", antialias=False)


def crop(x: jax.Array, size: Sequence[int], offset: int | Sequence[int] | None = None) -> jax.Array:
    """The H x W positions of x [B, h, w, C] from `offset` on, one for both axes or one for each.

    None means the middle (rounded down), as in U-Net.

        >>> crop(jnp.arange(5.0).reshape(1, 5, 1, 1), (3, 1)).ravel().tolist()
        [1.0, 2.0, 3.0]

    Raises:
        ValueError: x does not have that many positions.
    """
    spare = np.subtract(x.shape[1:3], size)
    low = spare // 2 if offset is None else np.broadcast_to(offset, 2)
    if np.any(low < 0) or np.any(low > spare):
        raise ValueError(
            f"crop takes at most the {list(x.shape[1:3])} positions of x, got {list(size)} from "
            f"{low.tolist()} on"
        )
    return x[:, *map(slice, low, low + size)]


def crop_add(x: jax.Array, skip: jax.Array, offset: int | None = None) -> jax.Array:
    """x [B, H, W, C] plus the part of `skip` [B, h, w, C] of this size; `offset` is that of `crop`.

    >>> crop_add(jnp.ones((1, 2, 2, 1)), jnp.ones((1, 6, 6, 1)), 1).ravel().tolist()
    [2.0, 2.0, 2.0, 2.0]

    Raises:
        ValueError: `skip` has no part of this size at `offset`.
    """
    return x + crop(skip, x.shape[1:3], offset)
