"""Worlds of cells: a plain walk, what is hidden behind walls, the edges, by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.grid_worlds import GridWorlds
from nets.layers import grid_world

AHEAD = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}


def wall_at(world, row, column):
    inside = 0 <= row < len(world) and 0 <= column < len(world[0])
    return not inside or bool(world[row][column])


def in_view(world, pose, view):
    """Cells in view by (distance, side), by going from cell to cell, and where they are."""
    row, column, heading = pose
    (fr, fc), (rr, rc) = AHEAD[heading], AHEAD[(heading + 1) % 4]

    def place(distance, side):
        return row + distance * fr + side * rr, column + distance * fc + side * rc

    found, waiting = {}, [(0, 0)]
    while waiting:
        distance, side = waiting.pop()
        if (distance, side) in found or distance >= view or abs(side) > view // 2:
            continue
        found[distance, side] = place(distance, side)
        if not wall_at(world, *place(distance, side)):
            outwards = {0: (-1, 1)}.get(side, (np.sign(side),))
            waiting += [(distance + 1, side)] + [(distance, side + s) for s in outwards]
    return found


def walk(world, pose, actions, view):
    """Poses, motions, views and seen cells of one agent, step by step."""
    seen = np.zeros(world.shape, bool)
    results = []
    for action in (None, *actions):
        row, column, heading = pose
        motion = np.zeros(3)
        if action == 0:
            to = row + AHEAD[heading][0], column + AHEAD[heading][1]
            if not wall_at(world, *to):
                (row, column), motion[0] = to, 1
        elif action is not None:
            heading, motion[action] = (heading + (1 if action == 2 else 3)) % 4, 1
        pose = row, column, heading
        sight = np.zeros((view, view, 2))
        for (distance, side), place in in_view(world, pose, view).items():
            wall = wall_at(world, *place)
            sight[view - 1 - distance, side + view // 2, 0 if wall else 1] = 1
            if 0 <= place[0] < len(world) and 0 <= place[1] < len(world[0]):
                seen[place] = True
        results.append((np.array(pose), motion, sight, seen.copy()))
    return results


@pytest.mark.parametrize("view", [1, 3, 5])
def test_a_walk_is_that_of_a_plain_loop(view):
    batch = GridWorlds(side=7, density=0.2, batch_size=6).draw(np.random.default_rng(3), 6, "train")
    walls = batch["inputs"] > 0.5
    walls[:2, 0] = walls[:2, :, -1] = False  # without a border: the edge of the array is wall
    actions = np.random.default_rng(4).choice(3, (25, 6), p=[0.6, 0.2, 0.2]).astype(np.int32)
    expected = [
        walk(world, tuple(pose), actions[:, i], view)
        for i, (world, pose) in enumerate(zip(walls, batch["pose"].tolist(), strict=True))
    ]
    state, sight = jax.jit(functools.partial(grid_world.begin, view=view))(walls, batch["pose"])
    step = jax.jit(functools.partial(grid_world.move, view=view))
    motion, blocked = np.zeros((6, 3)), 0
    for t in range(len(actions) + 1):
        for row, plain in enumerate(expected):
            pose, moved, view_of, seen = plain[t]
            np.testing.assert_array_equal(state.pose[row], pose)
            np.testing.assert_array_equal(motion[row], moved)
            np.testing.assert_array_equal(sight[row], view_of)
            np.testing.assert_array_equal(state.seen[row], seen)
        if t < len(actions):
            state, sight, motion = step(walls, state, actions[t])
            blocked += int((np.asarray(motion).sum(1) == 0).sum())
    assert blocked > 5


def test_what_is_behind_a_wall_is_out_of_sight():
    world = np.zeros((1, 5, 5), bool)
    world[0, 3, 1:4] = True  # a wall across the way up from the last line
    pose = np.array([[4, 2, 0]], np.int32)
    state, sight = grid_world.begin(jnp.asarray(world), pose, 3)
    assert sight[0, ..., 0].tolist() == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert sight[0, ..., 1].tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]
    assert np.argwhere(state.seen[0]).tolist() == [[3, 1], [3, 2], [3, 3], [4, 1], [4, 2], [4, 3]]
    assert grid_world.explored(jnp.asarray(world), state.seen).item() == pytest.approx(3 / 22)
