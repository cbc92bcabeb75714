import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.pooling_adaptive import adaptive_average


def loop(x, sizes):
    """x [B, H, W, C], bin by bin."""
    y = np.zeros((x.shape[0], *sizes, x.shape[3]))
    for position in np.ndindex(*sizes):
        spans = [
            slice(math.floor(i * n / m), math.ceil((i + 1) * n / m))
            for i, n, m in zip(position, x.shape[1:3], sizes, strict=True)
        ]
        y[:, *position] = x[:, *spans].mean(axis=(1, 2))
    return y


@pytest.mark.parametrize(
    "shape, sizes", [((13, 9), (6, 6)), ((2, 3), (7, 7)), ((14, 14), (4, 7)), ((5, 8), (1, 8))]
)
def test_adaptive_average_equals_numpy(shape, sizes):
    x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    y = jax.jit(functools.partial(adaptive_average, sizes=sizes))(x)
    np.testing.assert_allclose(y, loop(x, sizes), rtol=1e-5, atol=1e-6)


def test_one_size_for_all_axes():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    y = jax.jit(functools.partial(adaptive_average, sizes=3))(x)
    np.testing.assert_allclose(y, loop(x, (3, 3)), rtol=1e-5, atol=1e-6)


def test_the_same_size_costs_nothing():
    x = jax.ShapeDtypeStruct((2, 7, 7, 3), jnp.float32)
    jaxpr = jax.make_jaxpr(functools.partial(adaptive_average, sizes=7))(x)
    assert all(eqn.primitive.name == "convert_element_type" for eqn in jaxpr.eqns)


def test_bfloat16_is_rounded_once():
    x = jnp.asarray(np.random.default_rng(0).uniform(1, 2, size=(1, 31, 17, 2)), jnp.bfloat16)
    y = jax.jit(functools.partial(adaptive_average, sizes=(4, 3)))(x)
    assert y.dtype == jnp.bfloat16
    expected = jnp.asarray(loop(np.asarray(x, np.float64), (4, 3)), jnp.bfloat16)
    np.testing.assert_array_equal(np.asarray(y, np.float32), np.asarray(expected, np.float32))


@pytest.mark.parametrize("sizes", [(6,), (6, 6, 6), (6, 0), 0, ()])
def test_refusals(sizes):
    with pytest.raises(ValueError, match=r"sizes must be a number >= 1, .* of 2 axes"):
        jax.eval_shape(lambda: adaptive_average(jnp.zeros((1, 8, 8, 3)), sizes))
