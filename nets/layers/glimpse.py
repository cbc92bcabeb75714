"""A retina: parts of an image, the wider the coarser."""

import jax
import jax.numpy as jnp
from jax import lax

from nets.layers.checks import check_at_least


def glimpse(images: jax.Array, locations: jax.Array, size: int, scales: int = 1) -> jax.Array:
    """Square parts of images around one location each (Mnih et al. 2014, section 3.1.A).

    Part k has size 2^k pixels a side, of which the means of 2^k by 2^k are left. What lies outside
    of the image is 0. The smallest part begins at the pixel that is nearest, so no gradient passes
    to the locations; the middle of the others is its own, or, where an odd size leaves none, half a
    pixel to the right of it and below.

        >>> image = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> glimpse(image, jnp.array([[0.0, 0.0]]), 2)[0, 0, ..., 0].tolist()
        [[5.0, 6.0], [9.0, 10.0]]
        >>> glimpse(image, jnp.array([[1.0, -1.0]]), 2)[0, 0, ..., 0].tolist()
        [[0.0, 0.0], [3.0, 0.0]]

    Args:
        images: [B, H, W, C]; integers become float32.
        locations: x and y [B, 2] of the middle of the parts: -1 is the left and upper edge of the
            image, 1 the right and lower.
        size: pixels a side of each part.
        scales: number of parts.

    Returns:
        [B, scales, size, size, C], the smallest part first.

    Raises:
        ValueError: size or scales is below 1, or images and locations have not these shapes.
    """
    check_at_least("size", size, 1)
    check_at_least("scales", scales, 1)
    if images.ndim != 4 or locations.shape != (len(images), 2):
        raise ValueError(
            "images and locations must be [B, H, W, C] and [B, 2], got shapes "
            f"{list(images.shape)} and {list(locations.shape)}"
        )
    images = jnp.asarray(images, jnp.result_type(images, 1.0))
    height, width = images.shape[1:3]
    side = size * 2 ** (scales - 1)
    padded = jnp.pad(images, ((0, 0), (side, side), (side, side), (0, 0)))
    extent = jnp.array([[width, height]], jnp.float32)
    start = jnp.round((locations.astype(jnp.float32) + 1) / 2 * extent - size / 2)
    start += side - (side - size) // 2  # of the widest part, in the padded image
    start = jnp.clip(start, 0, extent + side).astype(jnp.int32)  # at both ends all is outside

    def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
        return lax.dynamic_slice(image, (corner[1], corner[0], 0), (side, side, image.shape[-1]))

    widest = jax.vmap(cut)(padded, lax.stop_gradient(start))
    parts = []
    for k in range(scales):
        first = (side - size * 2**k) // 2
        inside = slice(first, first + size * 2**k)
        part = widest[:, inside, inside]
        for _ in range(k):  # by halves: a mean of blocks at once is ten times slower on a CPU
            part = part[:, ::2] + part[:, 1::2]
            part = (part[:, :, ::2] + part[:, :, 1::2]) / 4
        parts.append(part)
    return jnp.stack(parts, 1)
