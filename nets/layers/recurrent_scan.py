"""The scan of one recurrent layer in one direction; arrays are time-major, [T, B, ...]."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from nets.layers import recurrent_bptt
from nets.layers.recurrent_cell import Carry, Cell


class ScanSpec(NamedTuple):
    """The static part of a scan: the key of its compilation, with shapes and dtypes of its arrays.

    Attributes:
        cell: the cell.
        zoneout: for each entry of the carry, the probability that a unit keeps its value, or ().
        dtype: of the outputs.
        fused: whether the scan has its own backward pass (`nets.layers.recurrent_bptt.fused_scan`).
        projected: whether the inputs are already projected by the cell.
        chunk: number of steps in a chunk, whose inner values are recomputed in the backward pass;
            None means that all inner values are saved.
    """

    cell: Cell
    zoneout: tuple[float, ...]
    dtype: jnp.dtype
    fused: bool
    projected: bool
    chunk: int | None


@functools.partial(jax.jit, static_argnums=0)  # without it, each eager call would compile
def scan_layer(
    spec: ScanSpec, weights: dict[str, jax.Array], x: jax.Array, carry: Carry, masks: tuple
) -> tuple[Carry, jax.Array]:
    """The last carry and outputs [T, B, ...] of x [T, B, ...].

    Args:
        spec: the cell and how to scan it.
        weights: the cell's weights, in the computation dtype.
        x: inputs.
        carry: the carry before the first step.
        masks: (valid, after, keep): valid [T, B], steps that are not padding; after [T, B], rows
            whose carry is set to zero after a step; keep, for each entry of the carry, the units
            that zoneout keeps. Each may be None.
    """
    cell = spec.cell
    end = functools.partial(_end_of_step, cell, spec.zoneout, spec.dtype)

    def project(x):  # recomputed with its chunk, since its result is the largest array
        return x if spec.projected else cell.project(weights, x)

    if spec.fused:
        used_outside = ("kernel", "bias", "recurrent_kernel")
        local = {k: a for k, a in weights.items() if k not in used_outside}
        recurrent = weights["recurrent_kernel"]

        def combine(local, carry, z, x, mask):
            return end(local, mask, carry, cell.combine(local, carry, z, x))

        def run(carry, xs):
            x, masks = xs
            return recurrent_bptt.fused_scan(combine, recurrent, local, carry, project(x), masks)
    else:

        def run(carry, xs):
            def step(carry, inputs):
                x, mask = inputs
                return end(weights, mask, carry, cell.update(weights, carry, x))

            x, masks = xs
            return lax.scan(step, carry, (project(x), masks))

    if spec.chunk is None:
        return run(carry, (x, masks))
    return recurrent_bptt.chunked(run, carry, (x, masks), spec.chunk)


def _end_of_step(cell, zoneout, dtype, weights, mask, old, new):
    """The carry after zoneout, padding and reset, and the output of a step."""
    valid, after, keep = mask
    if keep is not None:
        new = type(new)(*(jnp.where(k, o, n) for k, o, n in zip(keep, old, new, strict=True)))
    elif zoneout:
        new = type(new)(*(p * o + (1 - p) * n for p, o, n in zip(zoneout, old, new, strict=True)))
    new = jax.tree.map(lambda n, o: n.astype(o.dtype), new, old)
    y = cell.output(weights, new).astype(dtype)
    if valid is not None:
        new = jax.tree.map(lambda n, o: jnp.where(expand_mask(valid, n), n, o), new, old)
        y = jnp.where(expand_mask(valid, y), y, 0)
    if after is not None:
        new = jax.tree.map(lambda a: jnp.where(expand_mask(after, a), 0, a), new)
    return new, y


def expand_mask(mask: jax.Array, a: jax.Array) -> jax.Array:
    """A mask [B] or [T, B] with the rank of a, for `jnp.where`.

    >>> expand_mask(jnp.ones(4, bool), jnp.ones((4, 2, 3))).shape
    (4, 1, 1)
    """
    return mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim))
