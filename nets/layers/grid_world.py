"""Worlds of square cells that an agent walks in and sees a part of, as pure functions.

Worlds are walls [B, H, W] (bool); outside of them all is wall. A pose [B, 3] (int32) is a row, a
column and a heading: 0 up, to smaller rows, 1 right, 2 down, 3 left. An action [B] (int32) is 0,
one cell forward, which a wall prevents, 1, a quarter turn to the left, or 2, one to the right.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ACTIONS = ("forward", "left", "right")
CHANNELS = 2  # of a view: wall, free
AHEAD = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], np.int32)  # row and column, of each heading


class WorldState(NamedTuple):
    """Where agents are and what they have seen.

    Attributes:
        pose: [B, 3].
        seen: cells that have been in view [B, H, W] (bool).
    """

    pose: jax.Array
    seen: jax.Array


def begin(walls: jax.Array, pose: jax.Array, view: int) -> tuple[WorldState, jax.Array]:
    """The state at these poses, and the first view [B, V, V, 2] (`look`)."""
    return _looked(walls, pose, jnp.zeros_like(walls), view)


def move(
    walls: jax.Array, state: WorldState, action: jax.Array, view: int
) -> tuple[WorldState, jax.Array, jax.Array]:
    """One step.

    Args:
        walls: [B, H, W] (bool).
        state: that before.
        action: [B] (int32).
        view: V, cells along the side of a view.

    Returns:
        the state after it, the view [B, V, V, 2] of it, and the motion [B, 3] that took place,
        one-hot by action; zeros where a wall has prevented it.
    """
    row, column, heading = jnp.unstack(state.pose, axis=1)
    ahead = jnp.asarray(AHEAD)[heading]
    to = jnp.stack([row, column], axis=1) + ahead
    free = ~_at(walls, to[:, 0, None], to[:, 1, None])[:, 0]
    forward = (action == 0) & free
    place = jnp.where(forward[:, None], to, state.pose[:, :2])
    turned = (heading + (action == 2) - (action == 1)) % 4
    pose = jnp.concatenate([place, turned[:, None]], axis=1).astype(jnp.int32)
    motion = jax.nn.one_hot(action, len(ACTIONS)) * ((action != 0) | free)[:, None]
    after, seen = _looked(walls, pose, state.seen, view)
    return after, seen, motion


def look(walls: jax.Array, pose: jax.Array, view: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The cells in view: the agent's own row of cells, in the last line, and those ahead of it.

    A cell is in view if the one before it, nearer to the agent in its line or in its column, is in
    view and free. Walls themselves are seen.

    Args:
        walls: [B, H, W] (bool).
        pose: [B, 3].
        view: V, cells along the side of a view, odd.

    Returns:
        view [B, V, V, 2] (float32), 1 in channel 0 at walls and in channel 1 at free cells, 0 out
        of sight; rows and columns [B, V, V] of its cells, which may lie outside of the world.
    """
    row, column, heading = jnp.unstack(pose, axis=1)
    ahead, right = jnp.asarray(AHEAD)[heading], jnp.asarray(AHEAD)[(heading + 1) % 4]
    i, j = np.mgrid[:view, :view]
    distance, side = (view - 1 - i)[None], (j - view // 2)[None]  # [1, V, V]

    def cells(start, axis):
        along, across = ahead[:, axis, None, None], right[:, axis, None, None]
        return start[:, None, None] + distance * along + side * across

    rows, columns = cells(row, 0), cells(column, 1)
    wall = _at(walls, rows, columns)
    visible, middle = {}, view // 2
    for line in reversed(range(view)):
        for at in sorted(range(view), key=lambda at: abs(at - middle)):
            if line == view - 1 and at == middle:
                visible[line, at] = jnp.ones(len(walls), bool)
                continue
            before = [(line + 1, at)] if line < view - 1 else []
            before += [(line, at - 1 if at > middle else at + 1)] if at != middle else []
            ways = [visible[cell] & ~wall[:, *cell] for cell in before]
            visible[line, at] = ways[0] | ways[-1]
    lines = [jnp.stack([visible[line, at] for at in range(view)], 1) for line in range(view)]
    sight = jnp.stack(lines, axis=1)
    seen = jnp.stack([sight & wall, sight & ~wall], axis=-1).astype(jnp.float32)
    return seen, rows, columns


def explored(walls: jax.Array, seen: jax.Array) -> jax.Array:
    """The share [B] of the free cells that have been in view."""
    free = ~walls
    count = jnp.maximum(free.sum((1, 2)), 1)
    return (seen & free).sum((1, 2)) / count


def _looked(walls, pose, seen, view):
    """The state with what is in view now, and the view."""
    sight, rows, columns = look(walls, pose, view)
    index = (
        jnp.arange(len(walls))[:, None, None],
        _inside(rows, 1, walls),
        _inside(columns, 2, walls),
    )
    return WorldState(pose, seen.at[index].max(sight.any(-1), mode="drop")), sight


def _at(walls, rows, columns):
    """Whether cells are walls, in the shape [B, ...] of rows and columns."""
    batch = jnp.arange(len(walls)).reshape((-1,) + (1,) * (rows.ndim - 1))
    index = batch, _inside(rows, 1, walls), _inside(columns, 2, walls)
    return walls.at[index].get(mode="fill", fill_value=True)


def _inside(index, axis, walls):
    """The index, a negative one as one beyond the end: jax counts those from the end."""
    return jnp.where(index < 0, walls.shape[axis], index)
