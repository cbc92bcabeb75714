"""Features of regions: RoI align and RoI pooling."""

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from nets.layers.boxes import area

Pooling = Literal["align", "pool"]
"""RoI align, or RoI pooling."""


def roi_align(
    features: jax.Array,
    boxes: jax.Array,
    size: tuple[int, int],
    scale: float = 1.0,
    samples: int = 2,
    aligned: bool = False,
) -> jax.Array:
    """RoI align (He et al. 2017, section 3): means of bilinear samples in a grid of bins.

    A sample outside of the map by more than a position is 0. Sums are in float32 at least. Equal to
    `torchvision.ops.roi_align(..., sampling_ratio=samples)`.

        >>> features = jnp.arange(16.0).reshape(4, 4, 1)
        >>> roi_align(features, jnp.array([[0.0, 0, 2, 2]]), (1, 1)).item()
        5.0

    Args:
        features: [H, W, C] of one image.
        boxes: [R, 4], corners in pixels of the image.
        size: bins (h, w), down and across.
        scale: positions of the map per pixel of the image.
        samples: samples in a bin along each axis.
        aligned: whether position [i, j] of the map is the point (j + 1/2, i + 1/2), and boxes may
            be smaller than a position; else it is (j, i), as in the first implementations.

    Returns:
        [R, h, w, C], of the type of the features.
    """
    height, width, channels = features.shape
    x0, y0, x1, y1 = jnp.moveaxis(boxes * scale - (0.5 if aligned else 0.0), -1, 0)
    down = _weights(y0, y1, size[0], height, samples, aligned)
    across = _weights(x0, x1, size[1], width, samples, aligned)
    at_once = max(1, _AT_ONCE // (size[0] * width * channels))
    if len(boxes) <= at_once:
        return _interpolate(features, down, across)

    def in_parts(features: jax.Array, *weights: jax.Array) -> jax.Array:
        def one(weights: tuple[jax.Array, jax.Array]) -> jax.Array:
            return _interpolate(features, *(weight[None] for weight in weights))[0]

        return lax.map(one, weights, batch_size=at_once)

    return lax.platform_dependent(features, down, across, cpu=in_parts, default=_interpolate)


_AT_ONCE = 2**19
"""Numbers between the two products of `_interpolate`, of regions that a CPU does at a time: more
leave its caches."""


def _interpolate(features: jax.Array, down: jax.Array, across: jax.Array) -> jax.Array:
    """Means [R, h, w, C] of features [H, W, C] by the weights [R, h, H] and [R, w, W]."""
    rows = jnp.einsum("rhy,yxc->rhxc", down, features)  # in the type of the weights
    return jnp.einsum("rwx,rhxc->rhwc", across, rows).astype(features.dtype)


def _weights(
    low: jax.Array, high: jax.Array, bins: int, length: int, samples: int, aligned: bool
) -> jax.Array:
    """The weight [R, bins, length] of each position along an axis in each bin."""
    extent = high - low if aligned else jnp.maximum(high - low, 1.0)
    offset = (jnp.arange(bins * samples) + 0.5) / samples
    position = low[:, None] + offset[None] * (extent / bins)[:, None]  # [R, bins * samples]
    inside = (position >= -1) & (position <= length)
    position = jnp.clip(position, 0, length - 1)
    distance = jnp.abs(position[..., None] - jnp.arange(length)[None, None])
    weight = jnp.where(inside[..., None], jnp.maximum(1 - distance, 0), 0)
    return weight.reshape(-1, bins, samples, length).mean(2)


def pyramid_align(
    maps: Sequence[jax.Array],
    boxes: jax.Array,
    level: jax.Array,
    size: tuple[int, int],
    scales: Sequence[float],
    samples: int = 2,
) -> jax.Array:
    """RoI align, each box from one map of a pyramid: `roi_align(maps[level], ...)` of each box.

    Its bilinear samples are gathered, so that no map is read as a whole for each box.

    Args:
        maps: [H_l, W_l, C] of one image.
        boxes: [R, 4], corners in pixels of the image.
        level: [R] int, the map of each box.
        size, scales, samples: as in `roi_align`; a scale of each map.

    Returns:
        [R, h, w, C], of the type of the features.
    """
    table = jnp.concatenate([a.reshape(-1, a.shape[-1]) for a in maps])
    heights, widths = (jnp.array([a.shape[axis] for a in maps]) for axis in (0, 1))
    starts = jnp.cumsum(heights * widths) - heights * widths
    width, start = widths[level], starts[level]
    x0, y0, x1, y1 = jnp.moveaxis(boxes * jnp.array(scales)[level][:, None], -1, 0)
    rows = _neighbours(y0, y1, size[0], heights[level], samples)
    columns = _neighbours(x0, x1, size[1], width, samples)
    result = jnp.zeros((), jnp.promote_types(table.dtype, jnp.float32))
    for y, down in rows:
        for x, across in columns:
            index = (start[:, None] + y * width[:, None])[:, :, None] + x[:, None]
            weight = (down[:, :, None] * across[:, None])[..., None]
            result = result + table[index] * weight
    shape = (len(boxes), size[0], samples, size[1], samples, table.shape[-1])
    return result.reshape(shape).mean((2, 4)).astype(table.dtype)


def pyramid_level(boxes: jax.Array, maps: int) -> jax.Array:
    """The map [R] of each of boxes [R, 4], whose strides are 4, 8, ...: that of a box of 224 x 224
    pixels has stride 16 (Lin et al. 2017, equation 1)."""
    side = jnp.sqrt(area(boxes))
    level = jnp.floor(4 + jnp.log2(jnp.maximum(side, 1e-6) / 224) + 1e-6)
    return jnp.clip(level - 2, 0, maps - 1).astype(jnp.int32)


def region_features(
    maps: Sequence[jax.Array], boxes: jax.Array, height: int, pooling: Pooling
) -> jax.Array:
    """Features [R, 7, 7, C] of boxes [R, 4] from the maps [H_l, W_l, C] of an image of this height.

    Several maps are those of a pyramid, of which "pool" reads the first. A map's scale is the power
    of two that is nearest to its height over that of the image, as in torchvision.
    """
    scales = [2.0 ** round(math.log2(len(a) / height)) for a in maps]
    if pooling == "pool":
        return roi_pool(maps[0], boxes, (7, 7), scales[0])
    if len(maps) == 1:
        return roi_align(maps[0], boxes, (7, 7), scales[0])
    return pyramid_align(maps, boxes, pyramid_level(boxes, len(maps)), (7, 7), scales)


def _neighbours(
    low: jax.Array, high: jax.Array, bins: int, length: jax.Array, samples: int
) -> tuple[tuple[jax.Array, jax.Array], ...]:
    """The two positions [R, bins * samples] around each sample along an axis, with their
    weights."""
    offset = (jnp.arange(bins * samples) + 0.5) / samples
    extent = jnp.maximum(high - low, 1.0)
    position = low[:, None] + offset[None] * (extent / bins)[:, None]
    last = (length - 1)[:, None]
    inside = (position >= -1) & (position <= last + 1)
    position = jnp.clip(position, 0, last)
    before = jnp.floor(position).astype(jnp.int32)
    share = jnp.where(inside, position - before, 0)
    return (before, inside - share), (jnp.minimum(before + 1, last), share)


def roi_pool(
    features: jax.Array, boxes: jax.Array, size: tuple[int, int], scale: float = 1.0
) -> jax.Array:
    """RoI pooling (Girshick 2015, section 2.1): the maximum of each bin, 0 of an empty one.

    The box is rounded to positions of the map, and so are the bins. Equal to
    `torchvision.ops.roi_pool`.

    Args:
        features: [H, W, C] of one image.
        boxes: [R, 4], corners in pixels of the image.
        size: bins (h, w), down and across.
        scale: positions of the map per pixel of the image.

    Returns:
        [R, h, w, C], of the type of the features.
    """
    x0, y0, x1, y1 = jnp.moveaxis(_round(boxes * scale), -1, 0)

    def one(edges: tuple[jax.Array, ...]) -> jax.Array:
        y0, y1, x0, x1 = edges
        down = _bins(y0, y1, size[0], features.shape[0])
        across = _bins(x0, x1, size[1], features.shape[1])
        rows = jnp.where(down[:, :, None, None], features[None], -jnp.inf).max(1)  # [h, W, C]
        maxima = jnp.where(across[None, :, :, None], rows[:, None], -jnp.inf).max(2)
        empty = ~(down.any(1)[:, None] & across.any(1)[None])
        return jnp.where(empty[..., None], 0, maxima)

    return lax.map(one, (y0, y1, x0, x1))


def _round(x: jax.Array) -> jax.Array:
    """The nearest integers, halves away from 0, as C rounds."""
    return (jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)).astype(jnp.int32)


def _bins(low: jax.Array, high: jax.Array, bins: int, length: int) -> jax.Array:
    """Whether each position [length] is in each bin [bins] of a box's side.

    In integers: XLA divides by a constant as by its inverse, and the rounding moves an edge.
    """
    extent = jnp.maximum(high - low + 1, 1)
    k, position = jnp.arange(bins), jnp.arange(length)
    start = k * extent // bins + low
    end = -(-(k + 1) * extent // bins) + low
    return (position[None] >= start[:, None]) & (position[None] < end[:, None])
