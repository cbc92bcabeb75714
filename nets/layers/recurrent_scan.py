"""The scan of one recurrent layer over its steps, in one direction; time-major, [T, B, ...]."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from nets.layers import recurrent_bptt
from nets.layers.recurrent_cell import Carry, Cell


class Layer(NamedTuple):
    """What a scan is compiled for, beside the shapes and types of its arrays.

    Attributes:
        cell: the cell.
        zoneout: for each entry of the carry, the probability that a unit keeps it; () is none.
        dtype: of the outputs.
        fused: whether the scan has its own backward pass (`nets.layers.recurrent_bptt.fused_scan`).
        projected: whether inputs are the cell's projections already.
        chunk: steps whose inner values are computed again in the backward pass; None keeps all.
    """

    cell: Cell
    zoneout: tuple[float, ...]
    dtype: jnp.dtype
    fused: bool
    projected: bool
    chunk: int | None


@functools.partial(jax.jit, static_argnums=0)  # outside of one, it would be compiled at each call
def scan_layer(
    layer: Layer, weights: dict[str, jax.Array], x: jax.Array, carry: Carry, masks: tuple
) -> tuple[Carry, jax.Array]:
    """The last carry and outputs [T, B, ...] of x [T, B, ...].

    Args:
        layer: what is scanned.
        weights: the cell's, in the type that it computes in.
        x: inputs.
        carry: that before the first step.
        masks: valid [T, B], steps that are no padding; after [T, B], rows whose carry is zeros
            after a step; kept, for each entry of the carry, the units that zoneout keeps. Each may
            be None.
    """
    cell = layer.cell
    end = functools.partial(_end_of_step, cell, layer.zoneout, layer.dtype)

    def project(x):  # part of what a chunk computes again: its result is the largest of all
        return x if layer.projected else cell.project(weights, x)

    if layer.fused:
        outside = ("kernel", "bias", "recurrent_kernel")
        local = {k: a for k, a in weights.items() if k not in outside}
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

    if layer.chunk is None:
        return run(carry, (x, masks))
    return recurrent_bptt.chunked(run, carry, (x, masks), layer.chunk)


def _end_of_step(cell, zoneout, dtype, weights, mask, old, new):
    """(carry, output) of a step, with what is done to every cell's carry."""
    valid, after, kept = mask
    if kept is not None:
        new = type(new)(*(jnp.where(k, o, n) for k, o, n in zip(kept, old, new, strict=True)))
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
    """A mask [B], or [T, B], in the rank of a."""
    return mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim))
