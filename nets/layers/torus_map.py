"""A map on a torus, written and read where an agent believes to be."""

import math

import jax
import jax.numpy as jnp
from jax import lax


@jax.custom_vjp
def write_and_read(
    memory: jax.Array, position: jax.Array, seen: jax.Array, erased: jax.Array, added: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Writes what is seen around a position into a map, and then reads the map around it.

        s_c(i) = sum_k w(i - k) o_c(k)
        M'(i) = M(i) (1 - sum_c s_c(i) e_c) + sum_c s_c(i) a_c
        r(k) = sum_i w(i) M'(i + k)

    The offsets k are those of K rows and K columns, K odd and at most n, (0, 0) in the middle; rows
    and columns wrap around. The gradient, in reverse mode alone, is written out: it moves the
    belief by all offsets again, rather than keep K^2 beliefs for each step of a scan, and one
    matmul passes back all that comes through them.

        >>> memory, position = jnp.zeros((1, 1, 9)), jnp.eye(9)[None, 4]  # 3 x 3, in the middle
        >>> seen, one = jnp.eye(9)[None, None, 1], jnp.ones((1, 1, 1))  # of 3 x 3, the cell above
        >>> memory, reads = write_and_read(memory, position, seen, one, 7 * one)
        >>> memory.reshape(3, 3).tolist()
        [[0.0, 7.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]

    Args:
        memory: M [B, M, N] with N = n^2 cells.
        position: w [B, N].
        seen: o [B, C, K^2].
        erased: e [B, C, M].
        added: a [B, C, M].

    Returns:
        M' [B, M, N] and r [B, K^2, M].
    """
    moved = _moved_rows(_moved_columns(position, _reach(seen)))
    _, _, memory = _written(memory, moved, seen, erased, added)
    return memory, _over_cells(moved, memory)


def _forward(*inputs):
    return write_and_read(*inputs), inputs


def _backward(inputs, gradients):
    memory, position, seen, erased, added = inputs
    d_memory, d_reads = gradients
    reach, cells = _reach(seen), position.shape[1]
    side, count = math.isqrt(cells), 2 * reach + 1
    columns, transposed = jax.vjp(lambda w: _moved_columns(w, reach), position)
    moved = _moved_rows(columns)
    spread, kept, after = _written(memory, moved, seen, erased, added)
    d_sum = d_memory + _matmul(d_reads.swapaxes(1, 2), moved)  # of sum_c s_c a_c, [B, M, N]
    d_lost = -d_sum * memory  # of sum_c s_c e_c
    d_spread = _matmul(added, d_sum) + _matmul(erased, d_lost)
    factors = jnp.concatenate([d_reads, seen.swapaxes(1, 2)], axis=2)
    fields = _wrapped(jnp.concatenate([after, d_spread], axis=1), reach * side)
    d_moved = _matmul(factors, fields).reshape(len(memory), count, count, -1)
    d_columns = sum(d_moved[:, i, :, i * side : i * side + cells] for i in range(count))
    return (
        d_sum * kept,
        *transposed(d_columns),
        _over_cells(d_spread, moved),
        _over_cells(spread, d_lost),
        _over_cells(spread, d_sum),
    )


write_and_read.defvjp(_forward, _backward)


def _reach(seen):
    return math.isqrt(seen.shape[2]) // 2


def _moved_columns(position, reach):
    """A belief [B, N] moved by each number of columns, [B, K, N]."""
    side = math.isqrt(position.shape[1])
    grid = _wrapped(position.reshape(-1, side, side), reach)
    moved = [grid[..., j : j + side] for j in range(2 * reach, -1, -1)]
    return jnp.stack(moved, axis=1).reshape(len(position), len(moved), -1)


def _moved_rows(columns):
    """Beliefs [B, K, N] moved by each number of rows, [B, K^2, N]."""
    count, cells = columns.shape[1:]
    side = math.isqrt(cells)
    wrapped = _wrapped(columns, count // 2 * side)
    moved = [wrapped[..., i * side : i * side + cells] for i in range(count - 1, -1, -1)]
    return jnp.stack(moved, axis=1).reshape(len(columns), -1, cells)


def _wrapped(a, size):
    """With `size` of the other end at each end of the last axis."""
    return jnp.concatenate([a[..., a.shape[-1] - size :], a, a[..., :size]], axis=-1)


def _written(memory, moved, seen, erased, added):
    """The view spread over the map [B, C, N], the share of a cell that is kept, and the new map."""
    spread = _matmul(seen, moved)

    def outer(vectors):  # [B, M, N]
        return sum(
            spread[:, c, None] * v[..., None] for c, v in enumerate(jnp.unstack(vectors, axis=1))
        )

    kept = 1 - outer(erased)
    return spread, kept, memory * kept + outer(added)


def _matmul(a, b):
    """a [B, I, J] @ b [B, J, N], a kept in rows: on a CPU other layouts are twice as slow."""
    return lax.dot_general(lax.optimization_barrier(a), b, (((2,), (1,)), ((0,), (0,))))


def _over_cells(a, b):
    """[B, I, J], the sum over the cells of a [B, I, N] and b [B, J, N]."""
    return lax.dot_general(a, b, (((2,), (2,)), ((0,), (0,))))
