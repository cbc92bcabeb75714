"""The cost of a computation, from its jaxpr: nothing runs, no array is allocated."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal


def as_tuple(param: Any) -> tuple:
    """A tuple as it is, another value as a tuple of one."""
    return param if isinstance(param, tuple) else (param,)


def to_jaxpr(jaxpr: ClosedJaxpr | Jaxpr) -> Jaxpr:
    """The jaxpr without its constants."""
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr


def subjaxprs(eqn: JaxprEqn) -> list[Jaxpr]:
    """The jaxprs that an equation runs; for `lax.platform_dependent` only the default one."""
    values = [v for param in eqn.params.values() for v in as_tuple(param)]
    platforms = eqn.params.get("branches_platforms", ())
    if None in platforms:
        values = [eqn.params["branches"][platforms.index(None)]]
    return [to_jaxpr(v) for v in values if isinstance(v, ClosedJaxpr | Jaxpr)]


def multiply_adds(jaxpr: ClosedJaxpr | Jaxpr) -> int | None:
    """Multiply-adds of the matrix products and convolutions that the outputs depend on.

    A convolution counts its full window at the borders, as published figures do; a transposed one
    counts its window once for each input position. A scan counts its body times its length, a
    conditional its most expensive branch, a `shard_map` all its devices. Element-wise operations
    count as zero.

    Returns:
        The number. None means that some of them are in a loop of unknown length (`while_loop`).
    """
    jaxpr, total = to_jaxpr(jaxpr), 0
    needed = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    for eqn in reversed(jaxpr.eqns):
        if needed.isdisjoint(eqn.outvars):
            continue
        needed |= {v for v in eqn.invars if not isinstance(v, Literal)}
        count = _equation(eqn)
        if count is None:
            return None
        total += count
    return total


def _equation(eqn: JaxprEqn) -> int | None:
    name, params, out = eqn.primitive.name, eqn.params, eqn.outvars[0].aval
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return out.size * math.prod(eqn.invars[0].aval.shape[a] for a in contracted)
    if name == "conv_general_dilated":
        (image, kernel), numbers = (v.aval for v in eqn.invars), params["dimension_numbers"]
        transposed = max(params["lhs_dilation"], default=1) > 1
        grid, spec = (image, numbers.lhs_spec) if transposed else (out, numbers.out_spec)
        positions = math.prod(grid.shape[a] for a in spec[2:])
        return out.shape[numbers.out_spec[0]] * positions * kernel.size
    counts = [multiply_adds(sub) for sub in subjaxprs(eqn)]
    if not any(count != 0 for count in counts):
        return 0
    if None in counts or name in ("while", "pallas_call"):
        return None
    if name == "cond":
        return max(counts)
    devices = math.prod(params["mesh"].shape[a] for a in params.get("newly_manual_axes", ()))
    return sum(counts) * devices * (params["length"] if name == "scan" else 1)


def residual_bytes(loss: Callable[..., jax.Array], params: Any, *rest: Any) -> int:
    """Bytes that the forward pass of `loss(params, *rest)` saves for the backward pass.

    These are the residuals of `jax.vjp`, each counted once; a conditional counts those of all its
    branches. Arguments (parameters, batch) and constants are not counted. XLA may save fewer by
    fusion or recomputation. Arguments may be ShapeDtypeStructs.
    """

    def residuals(params, *rest):
        return jax.tree.leaves(jax.vjp(lambda p: loss(p, *rest), params)[1])

    jaxpr = jax.make_jaxpr(residuals)(params, *rest).jaxpr
    computed = {
        v
        for e in jaxpr.eqns
        for v in e.outvars
        if not all(isinstance(i, Literal) for i in e.invars)
    }
    saved = {v for v in jaxpr.outvars if not isinstance(v, Literal)} & computed
    return sum(v.aval.size * v.aval.dtype.itemsize for v in saved)
