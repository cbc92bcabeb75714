"""A map on a torus, against a loop over cells and offsets, and its gradient against autodiff's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.torus_map import write_and_read

B, C, M = 2, 2, 3


def inputs(side, count):
    """Memory, position, seen, erased, added of maps of this side and this many offsets a side."""
    rng = np.random.default_rng(side + count)
    shapes = (M, side**2), (side**2,), (C, count**2), (C, M), (C, M)
    return tuple(rng.normal(size=(B, *shape)) for shape in shapes)


def offsets(count):
    return [(i - count // 2, j - count // 2) for i in range(count) for j in range(count)]


@pytest.mark.parametrize(("side", "count"), [(7, 5), (5, 5), (5, 3), (4, 3), (3, 1)])
def test_it_is_a_loop_over_cells_and_offsets(side, count):
    memory, position, seen, erased, added = inputs(side, count)
    after, reads = jax.jit(write_and_read)(
        *map(jnp.asarray, (memory, position, seen, erased, added))
    )
    spread = np.zeros((B, C, side, side))
    for b, c, row, column in np.ndindex(B, C, side, side):
        for k, (down, across) in enumerate(offsets(count)):
            at = (row - down) % side * side + (column - across) % side
            spread[b, c, row, column] += position[b, at] * seen[b, c, k]
    spread = spread.reshape(B, C, -1)
    lost, new = (np.einsum("bcn,bcm->bmn", spread, v) for v in (erased, added))
    expected = memory * (1 - lost) + new
    np.testing.assert_allclose(after, expected, rtol=2e-4, atol=2e-5)
    for k, (down, across) in enumerate(offsets(count)):
        there = np.roll(expected.reshape(B, M, side, side), (-down, -across), (2, 3))
        read = np.einsum("bn,bmn->bm", position, there.reshape(B, M, -1))
        np.testing.assert_allclose(reads[:, k], read, rtol=2e-4, atol=2e-4)


def plain(memory, position, seen, erased, added):
    """The same by rolls, whose gradient is autodiff's."""
    count, side = round(seen.shape[2] ** 0.5), round(position.shape[1] ** 0.5)
    grid = position.reshape(-1, side, side)
    moved = jnp.stack([jnp.roll(grid, k, (1, 2)).reshape(position.shape) for k in offsets(count)])
    spread = jnp.einsum("kbn,bck->bcn", moved, seen)
    lost, new = (jnp.einsum("bcn,bcm->bmn", spread, v) for v in (erased, added))
    after = memory * (1 - lost) + new
    return after, jnp.einsum("kbn,bmn->bkm", moved, after)


@pytest.mark.parametrize(("side", "count"), [(7, 5), (5, 5), (4, 3), (3, 1)])
def test_each_gradient_is_that_of_autodiff(side, count):
    arguments = tuple(map(jnp.asarray, inputs(side, count)))
    rng = np.random.default_rng(0)
    weights = [jnp.asarray(rng.normal(size=(B, *s))) for s in ((M, side**2), (count**2, M))]

    def gradient(f):
        def loss(*arguments):
            return sum((w * y).sum() for w, y in zip(weights, f(*arguments), strict=True))

        return jax.jit(jax.grad(loss, argnums=range(5)))(*arguments)

    for actual, expected in zip(gradient(write_and_read), gradient(plain), strict=True):
        scale = float(jnp.abs(expected).max())
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * scale)
