"""Back-propagation through time: fused, in chunks, and truncated.

Sequences are time-major, [T, B, ...].
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from nets.layers.checks import check_at_least

Tree = Any


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def fused_scan(
    combine: Callable, recurrent: jax.Array, local: Tree, carry: Tree, xs: Tree, masks: Tree
) -> tuple[Tree, jax.Array]:
    """A recurrence with one matmul per step, and a backward pass of its own.

        carry_t, y_t = combine(local, carry_{t-1}, h_{t-1} R, x_t, mask_t)

    The forward pass saves the pullback of `combine`, so that a step of the backward pass is linear
    and has one matmul. dR is one matmul over all steps, where automatic differentiation of
    `lax.scan` adds an outer product in each step. It supports reverse mode only.

    Args:
        combine: must not mix rows of the batch.
        recurrent: R [H, G].
        local: other differentiable arguments of `combine`, the same in every step.
        carry: a NamedTuple with a field h [B, H].
        xs: differentiable inputs [T, B, ...].
        masks: inputs [T, B, ...] without gradient.

    Returns:
        carry_T and all y [T, B, ...].
    """
    return plain_scan(combine, recurrent, local, carry, xs, masks)


def plain_scan(
    combine: Callable, recurrent: jax.Array, local: Tree, carry: Tree, xs: Tree, masks: Tree
) -> tuple[Tree, jax.Array]:
    """`fused_scan` with automatic differentiation."""

    def step(carry, inputs):
        x, mask = inputs
        return combine(local, carry, _dot(carry.h, recurrent), x, mask)

    return lax.scan(step, carry, (xs, masks))


def _forward(combine, recurrent, local, carry, xs, masks):
    def step(carry, inputs):
        x, mask = inputs
        (new, y), pullback = jax.vjp(
            lambda *arguments: combine(*arguments, mask), local, carry, _dot(carry.h, recurrent), x
        )
        return new, (y, carry.h, pullback)

    last, (ys, hs, pullbacks) = lax.scan(step, carry, (xs, masks))
    return (last, ys), (recurrent, local, hs, pullbacks)


def _backward(combine, saved, cotangents):
    recurrent, local, hs, pullbacks = saved
    d_last, d_ys = cotangents
    transposed = recurrent.T  # once, not at every step

    def step(state, inputs):
        d_carry, d_local = state
        d_y, pullback = inputs
        d_local_here, d_carry, d_z, d_x = pullback((d_carry, d_y))
        d_carry = d_carry._replace(h=d_carry.h + _dot(d_z, transposed).astype(d_carry.h.dtype))
        d_local = jax.tree.map(jnp.add, d_local, d_local_here)
        return (d_carry, d_local), (d_z, () if d_x is d_z else (d_x,))  # combine(x + z): saved once

    zeros = jax.tree.map(jnp.zeros_like, local)
    (d_carry, d_local), (d_zs, d_xs) = lax.scan(
        step, (d_last, zeros), (d_ys, pullbacks), reverse=True
    )
    d_recurrent = jnp.einsum("tbh,tbg->hg", hs.astype(d_zs.dtype), d_zs)
    (d_xs,) = d_xs or (d_zs,)
    return d_recurrent.astype(recurrent.dtype), d_local, d_carry, d_xs, None


fused_scan.defvjp(_forward, _backward)


def _dot(h: jax.Array, kernel: jax.Array) -> jax.Array:
    return h.astype(kernel.dtype) @ kernel


def chunked(
    run: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, chunk: int
) -> tuple[Tree, Tree]:
    """`run(carry, xs)` over T steps in chunks, which the backward pass recomputes.

    It saves T / chunk carries and the residuals of one chunk: chunk = sqrt(T) takes O(sqrt T)
    memory, at the cost of one more forward pass.

        >>> def run(carry, xs):
        ...     return lax.scan(lambda c, x: (c + x, c), carry, xs)
        >>> chunked(run, jnp.array(0.0), jnp.ones(5), chunk=2)[1].tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0]

    Args:
        run: a scan over xs: returns the last carry and results [T, ...].
        carry: the carry before the first step.
        xs: [T, ...] each.
        chunk: number of steps in a chunk.
    """
    length = len(jax.tree.leaves(xs)[0])
    whole = length // chunk * chunk
    recomputed = jax.checkpoint(run)
    if not whole:
        return recomputed(carry, xs)
    parts = jax.tree.map(lambda a: a[:whole].reshape(-1, chunk, *a.shape[1:]), xs)
    carry, ys = lax.scan(recomputed, carry, parts)
    ys = jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), ys)
    if whole == length:
        return carry, ys
    carry, rest = recomputed(carry, jax.tree.map(lambda a: a[whole:], xs))
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), ys, rest)


def truncated_scan(
    run: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, k1: int, k2: int
) -> tuple[Tree, Tree]:
    """Truncated back-propagation through time, BPTT(k2; k1), over a long sequence.

    Values are those of `run(carry, xs)`; only gradients differ. The T steps are split into segments
    of k1. The gradient of a loss on the results of a segment that ends at step n passes through
    steps n - k2 + 1 .. n only (Williams and Peng 1990, "An efficient gradient-based algorithm for
    on-line training of recurrent network trajectories", with h' = k1 and h = k2). It reaches the
    initial carry from segments with n <= k2. With k2 >= T nothing is truncated. The k2 - k1 steps
    before a segment are run again for it: k2 / k1 times the forward work, and once more in the
    backward pass, which saves the inner values of one segment at a time.

        >>> def run(carry, xs):
        ...     return lax.scan(lambda c, x: (c + x, c + x), carry, xs)
        >>> def loss(x):
        ...     return truncated_scan(run, jnp.array(0.0), x, k1=1, k2=2)[1].sum()
        >>> jax.grad(loss)(jnp.ones(4)).tolist()
        [2.0, 2.0, 2.0, 1.0]

    Args:
        run: a scan over xs of any length: returns the last carry and results [length, ...].
        carry: the carry before the first step.
        xs: [T, ...] each; T is a multiple of k1.
        k1: number of steps in a segment.
        k2: number of steps that gradients pass, at least k1.

    Returns:
        the last carry, without gradient unless k2 >= T, and results [T, ...].

    Raises:
        ValueError: k1 < 1, k2 < k1, or T is not a multiple of k1.
    """
    length = len(jax.tree.leaves(xs)[0])
    check_at_least("k1", k1, 1)
    check_at_least("k2", k2, k1)
    if length % k1:
        raise ValueError(f"the number of steps must be a multiple of k1={k1}, got {length}")
    if k2 >= length or jax.config.jax_disable_jit:  # without jit each layer is seen once
        return run(carry, xs)
    back = k2 - k1  # steps before the segment that gradients still pass
    lead = -(-back // k1)
    # no truncation in the first segments, whose k2 steps begin before step 0: one run for all
    heads = [run(carry, jax.tree.map(lambda a: a[: lead * k1], xs))[1]] if lead else []
    start = lead * k1 - back  # first of the k2 steps of the next segment
    if start:
        carry, _ = run(carry, jax.tree.map(lambda a: a[:start], xs))
        carry = lax.stop_gradient(carry)

    def segment(carry, i):
        steps = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start + i * k1, k2), xs)
        return _last_segment(run, carry, steps, k1)

    carry, ys = lax.scan(jax.checkpoint(segment), carry, jnp.arange(length // k1 - lead))
    ys = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), ys)
    if heads:
        ys = jax.tree.map(lambda *parts: jnp.concatenate(parts), *heads, ys)
    if back:
        carry, _ = run(carry, jax.tree.map(lambda a: a[length - back :], xs))
    return lax.stop_gradient(carry), ys


class StreamState(NamedTuple):
    """The state of a stream between updates of truncated back-propagation.

    Attributes:
        carry: the carry before the steps of `xs`.
        xs: inputs of the k2 - k1 steps before the next update, [k2 - k1, ...] each, or () if
            k2 = k1.
    """

    carry: Tree
    xs: Tree


def truncated_segment(
    run: Callable[[Tree, Tree], tuple[Tree, Tree]], state: StreamState, xs: Tree
) -> tuple[StreamState, Tree]:
    """The next k1 steps of a stream, for an update whose gradient passes k2 steps.

    The steps of the state are run again, from a carry without gradient, so that values are those of
    one long run (if `run` is deterministic).

        >>> def run(carry, xs):
        ...     return lax.scan(lambda c, x: (c + x, c + x), carry, xs)
        >>> state = StreamState(jnp.array(0.0), jnp.zeros(1))  # k2 - k1 = 1
        >>> truncated_segment(run, state, jnp.ones(2))[1].tolist()
        [1.0, 2.0]

    Args:
        run: a scan over xs of any length: returns the last carry and results [length, ...].
        state: from the previous update; zeros before the first, where `run` must reset the carry
            at the first step of xs.
        xs: [k1, ...] each.

    Returns:
        the state for the next update, and results [k1, ...].
    """
    steps, k1 = xs, len(jax.tree.leaves(xs)[0])
    if jax.tree.leaves(state.xs):
        steps = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), state.xs, xs)
    carry, ys = _last_segment(run, lax.stop_gradient(state.carry), steps, k1)
    rest = () if steps is xs else jax.tree.map(lambda a: a[k1:], steps)
    return StreamState(carry, rest), ys


def _last_segment(run, carry, steps, k1):
    """The carry after the first k1 steps, without gradient, and the results of the last k1."""
    carry, ys = run(carry, jax.tree.map(lambda a: a[:k1], steps))
    if len(jax.tree.leaves(steps)[0]) > k1:
        _, more = run(carry, jax.tree.map(lambda a: a[k1:], steps))
        ys = jax.tree.map(lambda a, b: jnp.concatenate([a, b])[-k1:], ys, more)
    return lax.stop_gradient(carry), ys
