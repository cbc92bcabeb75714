import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.layers.squeeze_excite import SqueezeExcite
from tests.support.checks import jit


def variables(model, x, seed=0):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    return jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape)), shapes)


@pytest.mark.parametrize("sizes", [(5,), (3, 4), (2, 3, 2)])
def test_it_equals_numpy(sizes):
    x = np.random.default_rng(1).normal(size=(2, *sizes, 6)).astype(np.float32)
    model = SqueezeExcite(3)
    weights = variables(model, x)
    fc1, fc2 = weights["params"]["fc1"], weights["params"]["fc2"]
    ones = (1,) * len(sizes)
    assert fc1["kernel"].shape == (*ones, 6, 3) and fc2["kernel"].shape == (*ones, 3, 6)
    want = np.zeros_like(x)
    for b in range(2):
        z = x[b].reshape(-1, 6).mean(0)
        z = np.maximum(z @ fc1["kernel"].reshape(6, 3) + fc1["bias"], 0)
        gate = 1 / (1 + np.exp(-(z @ fc2["kernel"].reshape(3, 6) + fc2["bias"])))
        for c in range(6):
            want[b, ..., c] = x[b, ..., c] * gate[c]
    np.testing.assert_allclose(jit(model.apply)(weights, x), want, rtol=1e-4, atol=1e-5)


def test_activation_and_gate_are_the_callers():
    x = np.random.default_rng(1).normal(size=(2, 3, 3, 4)).astype(np.float32)
    model = SqueezeExcite(2, activation=jnp.sin, gate=nn.hard_sigmoid)
    weights = variables(model, x)
    fc1, fc2 = weights["params"]["fc1"], weights["params"]["fc2"]
    z = np.sin(x.mean((1, 2)) @ fc1["kernel"][0, 0] + fc1["bias"].reshape(1, -1))
    gate = np.clip((z @ fc2["kernel"][0, 0] + fc2["bias"].reshape(1, -1)) / 6 + 0.5, 0, 1)
    want = x * gate[:, None, None]
    np.testing.assert_allclose(jit(model.apply)(weights, x), want, rtol=1e-4, atol=1e-5)


def test_initial_weights():
    x = jnp.zeros((1, 2, 2, 256))
    weights = jax.jit(SqueezeExcite(64).init)(jax.random.key(0), x)["params"]
    for name, fan_out in (("fc1", 64), ("fc2", 256)):
        np.testing.assert_allclose(weights[name]["kernel"].std(), (2 / fan_out) ** 0.5, rtol=0.05)
        assert not weights[name]["bias"].any()


def test_types():
    x = jax.ShapeDtypeStruct((1, 2, 2, 4), jnp.float32)
    model = SqueezeExcite(2, dtype=jnp.bfloat16)
    y, weights = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), x)
    assert y.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves(weights)} == {jnp.dtype(jnp.float32)}
    half = SqueezeExcite(2, param_dtype=jnp.bfloat16)
    weights = jax.eval_shape(lambda x: half.init(jax.random.key(0), x), x)
    assert {a.dtype for a in jax.tree.leaves(weights)} == {jnp.dtype(jnp.bfloat16)}
