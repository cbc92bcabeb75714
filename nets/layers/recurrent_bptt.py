"""Scans over time: the recurrence that gated cells share, in chunks, and truncated.

Everything here is time-major: sequences are [T, B, ...].
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Tree = Any


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def fused_scan(
    combine: Callable, recurrent: jax.Array, local: Tree, carry: Tree, xs: Tree, masks: Tree
) -> tuple[Tree, jax.Array]:
    """The recurrence with one matmul a step, and a backward pass of its own.

        carry_t, y_t = combine(local, carry_{t-1}, h_{t-1} R, x_t, mask_t)

    `combine` mixes no rows of the batch. Its pullback is made while going forward, so that going
    back a step is its linear part and one matmul, and dR is one matmul after the last step, where
    automatic differentiation of `lax.scan` adds up an outer product at each. It is
    reverse-differentiable only.

    Args:
        recurrent: R [H, G].
        local: what else `combine` is differentiated by, the same at every step.
        carry: a NamedTuple with a field h [B, H].
        xs: inputs [T, B, ...] that it is differentiated by.
        masks: inputs [T, B, ...] that it is not.

    Returns:
        carry_T and all y [T, B, ...].
    """
    return plain_scan(combine, recurrent, local, carry, xs, masks)


def plain_scan(combine, recurrent, local, carry, xs, masks):
    """The same as `fused_scan`, left to automatic differentiation."""

    def step(carry, inputs):
        x, mask = inputs
        return combine(local, carry, _dot(carry.h, recurrent), x, mask)

    return lax.scan(step, carry, (xs, masks))


def _forward(combine, recurrent, local, carry, xs, masks):
    def step(carry, inputs):
        x, mask = inputs
        (new, y), pullback = jax.vjp(
            lambda *given: combine(*given, mask), local, carry, _dot(carry.h, recurrent), x
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
        return (d_carry, d_local), (d_z, () if d_x is d_z else (d_x,))  # x + z: kept once

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
    """`run(carry, xs)` over T steps in chunks whose inner steps are computed again going back.

    The backward pass keeps T / chunk carries and the residuals of one chunk: chunk = sqrt(T) makes
    it O(sqrt T) of memory for one forward pass more.

    Args:
        run: a scan over xs: the last carry and [T, ...] results.
    """
    length = len(jax.tree.leaves(xs)[0])
    whole = length // chunk * chunk
    again = jax.checkpoint(run)
    if not whole:
        return again(carry, xs)
    parts = jax.tree.map(lambda a: a[:whole].reshape(-1, chunk, *a.shape[1:]), xs)
    carry, ys = lax.scan(again, carry, parts)
    ys = jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), ys)
    if whole == length:
        return carry, ys
    carry, rest = again(carry, jax.tree.map(lambda a: a[whole:], xs))
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), ys, rest)


def truncated_scan(
    run: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, k1: int, k2: int
) -> tuple[Tree, Tree]:
    """Truncated back-propagation through time, BPTT(k2; k1), over a long sequence.

    Values are those of `run(carry, xs)`; only gradients differ. The T steps fall into windows of
    k1. What a loss on the results of the window that ends at step n sends back passes through
    steps n - k2 + 1 .. n and no further, so that no result is reached from more than k2 steps
    (Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of
    recurrent network trajectories", with h' = k1 and h = k2). The given carry is reached from
    windows with n <= k2. With k2 >= T nothing is cut. The k2 - k1 steps before a window are run
    again for it: k2 / k1 times the forward work, and once more going back, so that the inner
    values of one window are kept at a time.

    Args:
        run: a scan over xs: (carry, xs of any length) to the last carry and [length, ...] results.
        carry: before step 0.
        xs: [T, ...] each; T is a multiple of k1.
        k1: steps forward between updates.
        k2: steps back through time, at least k1.

    Returns:
        carry after step T - 1, which a gradient passes only with k2 >= T, and results [T, ...].

    Raises:
        ValueError: k1 < 1, k2 < k1, or T is not a multiple of k1.
    """
    length = len(jax.tree.leaves(xs)[0])
    if not 1 <= k1 <= k2:
        raise ValueError(f"k1={k1}, k2={k2}: 1 <= k1 <= k2 is valid")
    if length % k1:
        raise ValueError(f"{length} steps are not a multiple of k1={k1}")
    if k2 >= length or jax.config.jax_disable_jit:  # who looks at values sees each step once
        return run(carry, xs)
    back = k2 - k1  # steps before the window that gradients still pass
    lead = -(-back // k1)
    # these windows' past begins before step 0: all of it is theirs, and one run gives them all
    heads = [run(carry, jax.tree.map(lambda a: a[: lead * k1], xs))[1]] if lead else []
    start = lead * k1 - back  # where the past of the next window begins
    if start:
        carry, _ = run(carry, jax.tree.map(lambda a: a[:start], xs))
        carry = lax.stop_gradient(carry)

    def window(carry, i):
        given = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start + i * k1, k2), xs)
        return _last(run, carry, given, k1)

    carry, ys = lax.scan(jax.checkpoint(window), carry, jnp.arange(length // k1 - lead))
    ys = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), ys)
    if heads:
        ys = jax.tree.map(lambda *parts: jnp.concatenate(parts), *heads, ys)
    if back:
        carry, _ = run(carry, jax.tree.map(lambda a: a[length - back :], xs))
    return lax.stop_gradient(carry), ys


class Window(NamedTuple):
    """What truncated back-propagation keeps of a stream between updates.

    Attributes:
        carry: that before the steps of `xs`.
        xs: the inputs of the k2 - k1 steps before the next update, [k2 - k1, ...] each; () if
            there are none.
    """

    carry: Tree
    xs: Tree


def truncated_window(
    run: Callable[[Tree, Tree], tuple[Tree, Tree]], window: Window, xs: Tree
) -> tuple[Window, Tree]:
    """The next k1 steps of a stream, for an update whose gradient passes k2 steps back.

    The steps that the window holds are run again, from a carry that no gradient passes, so that
    results are those of one long run (as long as `run` draws nothing at random).

    Args:
        run: a scan over xs: (carry, xs of any length) to the last carry and [length, ...] results.
        window: what the update before returned; before the first, zeros, and a `run` that begins
            afresh at the first of xs.
        xs: [k1, ...] each.

    Returns:
        window for the next update, and results [k1, ...].
    """
    given, k1 = xs, len(jax.tree.leaves(xs)[0])
    if jax.tree.leaves(window.xs):
        given = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), window.xs, xs)
    carry, ys = _last(run, lax.stop_gradient(window.carry), given, k1)
    rest = () if given is xs else jax.tree.map(lambda a: a[k1:], given)
    return Window(carry, rest), ys


def _last(run, carry, given, k1):
    """The carry after the first k1 of the steps, which no gradient passes, and the last results."""
    carry, ys = run(carry, jax.tree.map(lambda a: a[:k1], given))
    if len(jax.tree.leaves(given)[0]) > k1:
        _, more = run(carry, jax.tree.map(lambda a: a[k1:], given))
        ys = jax.tree.map(lambda a, b: jnp.concatenate([a, b])[-k1:], ys, more)
    return lax.stop_gradient(carry), ys
