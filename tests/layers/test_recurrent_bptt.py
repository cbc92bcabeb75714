import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nets.layers import recurrent_bptt
from tests.support.checks import assert_close, assert_gradient, jit, temporary_bytes

STEPS, BATCH, UNITS = 5, 2, 3


class State(NamedTuple):
    memory: jax.Array
    h: jax.Array


def combine(local, carry, z, x, mask):
    """Two entries of the carry, two leaves in `local` and in the inputs, and a mask."""
    memory = jnp.tanh(z + x["a"]) * carry.memory + local["gain"][None] * x["b"] * carry.h
    memory = jnp.where(mask[:, None], memory, carry.memory)
    h = jnp.sin(memory + local["shift"][None])
    return State(memory, h), h * h + z


def by_autodiff(recurrent, local, carry, xs, masks):
    def step(carry, inputs):
        return combine(local, carry, carry.h @ recurrent, *inputs)

    return lax.scan(step, carry, (xs, masks))


def in_numpy(recurrent, local, carry, xs, masks):
    memory, h = (np.array(a) for a in carry)
    ys = np.zeros((STEPS, BATCH, UNITS))
    for t, b in np.ndindex(STEPS, BATCH):
        z = h[b] @ recurrent
        if masks[t, b]:
            memory[b] = np.tanh(z + xs["a"][t, b]) * memory[b] + (
                local["gain"] * xs["b"][t, b] * h[b]
            )
        h[b] = np.sin(memory[b] + local["shift"])
        ys[t, b] = h[b] ** 2 + z
    return (memory, h), ys


def arguments():
    rng = np.random.default_rng(0)
    shapes = (
        (UNITS, UNITS),
        {"gain": (UNITS,), "shift": (UNITS,)},
        State((BATCH, UNITS), (BATCH, UNITS)),
        {"a": (STEPS, BATCH, UNITS), "b": (STEPS, BATCH, 1)},
    )

    def is_shape(s):
        return type(s) is tuple and all(isinstance(n, int) for n in s)

    differentiable = tuple(
        jax.tree.map(lambda s: rng.normal(size=s), s, is_leaf=is_shape) for s in shapes
    )
    return differentiable, rng.random((STEPS, BATCH)) < 0.7


def loss(result):
    """A sum in which every entry has its own, non-linear part."""
    leaves = jax.tree.leaves(result)
    return sum((np.cos(np.arange(a.size)).reshape(a.shape) * a**2).sum() for a in leaves)


def test_fused_scan_equals_autodiff_and_finite_differences():
    differentiable, masks = arguments()

    def with_gradient(run):
        def value(*differentiable):
            result = run(*differentiable, masks)
            return loss(result), result

        gradient_and_result = jit(jax.grad(value, (0, 1, 2, 3), has_aux=True))(*differentiable)
        return jax.tree.map(np.asarray, gradient_and_result)

    with jax.enable_x64(True):
        gradient, result = with_gradient(functools.partial(recurrent_bptt.fused_scan, combine))
        assert_close((gradient, result), with_gradient(by_autodiff))
        plain = functools.partial(recurrent_bptt.plain_scan, combine)
        assert_close((gradient, result), with_gradient(plain))
    assert_close(result, in_numpy(*differentiable, masks))

    assert_gradient(gradient, lambda *moved: loss(in_numpy(*moved, masks)), differentiable)


def test_fused_scan_has_second_derivatives():
    """Reverse over reverse, and forward over reverse; forward alone is not offered."""
    differentiable, masks = arguments()
    with jax.enable_x64(True):

        def twice(run):

            def value(*differentiable):
                return loss(run(*differentiable, masks))

            gradient = jax.grad(value, (0, 1, 2, 3))
            return jit(
                lambda *differentiable: (
                    jax.grad(lambda *differentiable: loss(gradient(*differentiable)), (0, 1, 2, 3))(
                        *differentiable
                    ),
                    jax.jvp(gradient, differentiable, differentiable)[1],
                )
            )(*differentiable)

        fused = functools.partial(recurrent_bptt.fused_scan, combine)
        assert_close(twice(fused), twice(by_autodiff), 1e-10)
        with pytest.raises(TypeError, match="forward-mode"):
            jax.jvp(
                lambda *differentiable: fused(*differentiable, masks),
                differentiable,
                differentiable,
            )


def test_fused_scan_keeps_types():
    """A float32 carry in a bfloat16 computation: each gradient has the dtype of its array."""
    differentiable, masks = arguments()
    low, high = functools.partial(np.asarray, dtype=jnp.bfloat16), np.float32
    kinds = jax.tree.map(low, differentiable)[:2] + (
        jax.tree.map(high, differentiable[2]),
        differentiable[3],
    )
    recurrent, local, carry, xs = kinds

    def narrow(*inputs):
        new, y = combine(*inputs)
        return jax.tree.map(lambda a: a.astype(jnp.float32), new), y.astype(jnp.bfloat16)

    xs = jax.tree.map(low, xs)

    def value(*differentiable):
        return loss(recurrent_bptt.fused_scan(narrow, *differentiable, masks)).astype(jnp.float32)

    got = jax.eval_shape(jax.grad(value, (0, 1, 2, 3)), recurrent, local, carry, xs)
    expected = jax.tree.map(lambda a: (a.shape, a.dtype), (recurrent, local, carry, xs))
    assert jax.tree.map(lambda a: (a.shape, a.dtype), got) == expected


def test_fused_scan_multiplies_once_a_step():
    """A matmul forwards and one backwards; that of dR is outside."""
    differentiable, masks = arguments()

    def value(*differentiable):
        return loss(recurrent_bptt.fused_scan(combine, *differentiable, masks))

    jaxpr = jax.make_jaxpr(jax.grad(value, (0, 1, 2, 3)))(
        *jax.tree.map(np.float32, differentiable)
    ).jaxpr
    scans = [e for e in jaxpr.eqns if e.primitive.name == "scan"]
    inside = [str(e.params["jaxpr"]).count("dot_general") for e in scans]
    assert inside == [1, 1] and str(jaxpr).count("dot_general") == 3


@pytest.mark.parametrize("length, chunk", [(12, 4), (12, 5), (12, 12), (12, 40), (7, 1), (1, 3)])
def test_chunked(length, chunk):
    rng = np.random.default_rng(0)
    weight, start, xs = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(length, 3))

    def value(weight, start, xs, chunk):
        def run(carry, xs):
            def step(carry, x):
                carry = jnp.tanh(weight @ carry + x)
                return carry, {"y": carry * x, "sum": carry.sum()}

            return lax.scan(step, carry, xs)

        result = recurrent_bptt.chunked(run, start, xs, chunk) if chunk else run(start, xs)
        return loss(result), result

    with jax.enable_x64(True):
        gradient = jit(jax.grad(value, (0, 1, 2), has_aux=True), static_argnums=3)
        assert_close(gradient(weight, start, xs, chunk), gradient(weight, start, xs, 0))


def test_chunked_keeps_little():
    """64 times the length, in chunks of its square root, takes about 8 times the memory."""

    def room(length, chunk):
        def value(start, xs):
            def run(carry, xs):
                return lax.scan(lambda h, x: (jnp.tanh(h * x), ()), carry, xs)

            return recurrent_bptt.chunked(run, start, xs, chunk)[0].sum()

        shapes = jax.ShapeDtypeStruct((64,), "float32"), jax.ShapeDtypeStruct((length,), "float32")
        return temporary_bytes(jax.grad(value), *shapes)

    assert room(4096, 64) < 20 * room(64, 8) < room(4096, 4096)
