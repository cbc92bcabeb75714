"""A named stage of an image network, as models that look at images read it."""

from typing import Any

import jax
import jax.numpy as jnp


def backbone_stage(model: Any, images: jax.Array, train: bool, rank: int) -> jax.Array:
    """The stage of a model's backbone that it reads, which must have this rank.

    Args:
        model: has the fields `backbone` and `stage`.
        images: [B, H, W, C].
        train: whether the backbone is trained.
        rank: 2 of features [B, D], 4 of maps [B, H, W, D].

    Raises:
        ValueError: the backbone has no such stage, or refuses the images.
    """
    _, stages = model.backbone(images, train=train, stages=True)
    valid = [name for name, a in stages.items() if a.ndim == rank]
    if model.stage not in valid:
        shape = "[B, D]" if rank == 2 else "[B, H, W, D]"
        raise ValueError(
            f"{type(model).__name__}.stage must be one of {', '.join(valid) or 'none'}, the stages "
            f"{shape} of {type(model.backbone).__name__}, got {model.stage!r}"
        )
    return stages[model.stage]


def coordinates(maps: jax.Array) -> jax.Array:
    """Row and column [B, H, W, 2], from -1 to 1, of each position of maps [B, H, W, D].

    >>> coordinates(jnp.ones((1, 2, 3, 5)))[0, 1].tolist()
    [[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    rows, columns = (jnp.linspace(-1, 1, n, dtype=maps.dtype) for n in maps.shape[1:3])
    grid = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), -1)
    return jnp.broadcast_to(grid, (len(maps), *grid.shape))
