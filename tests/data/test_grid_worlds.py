"""Worlds of cells: all free cells can be reached, batches repeat, mistakes are told."""

import numpy as np
import pytest

from nets.data.grid_worlds import GridWorlds
from nets.errors import UserError


def reached(world, start):
    """The cells that can be reached from one, by a flood."""
    found, waiting = set(), [start]
    while waiting:
        row, column = waiting.pop()
        if (row, column) in found or world[row, column]:
            continue
        found.add((row, column))
        waiting += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return found


def test_every_free_cell_can_be_reached_from_the_beginning():
    data = GridWorlds(side=8, density=0.35, eval_size=60)
    batch = data.evaluate("test")[0]
    worlds, poses = batch["inputs"] > 0.5, batch["pose"]
    for world, (row, column, heading) in zip(worlds[:60], poses[:60], strict=True):
        assert reached(world, (row, column)) == {*map(tuple, np.argwhere(~world).tolist())}
        assert world[[0, -1]].all() and world[:, [0, -1]].all()
        assert (~world).sum() >= 18 and heading in range(4)
    assert {*poses[:60, 2].tolist()} == {0, 1, 2, 3}
    assert len(np.unique(worlds[:60], axis=0)) == 60


def test_batches_repeat_and_differ():
    data = GridWorlds(side=6, batch_size=4)
    first, again, other = (data.train(seed)[3] for seed in (0, 0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["inputs"] != other["inputs"]).any()
    assert first["inputs"].shape == (4, 6, 6) and first["pose"].dtype == np.int32


@pytest.mark.parametrize(("field", "value"), [("side", 3), ("density", 0.5), ("density", -0.1)])
def test_a_world_that_cannot_be_is_told(field, value):
    with pytest.raises(UserError, match=f"{field} must be at least"):
        GridWorlds(**{field: value})
