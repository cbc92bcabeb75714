"""Multi-head attention without torch: causality, masks, weights, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.attention_multi_head import MultiHeadAttention
from tests.support.checks import assert_close, jit


def random_parameters(model, rng, *widths):
    """Random parameters for x and memory [2, 5, width]."""
    arrays = [jax.ShapeDtypeStruct((2, 5, width), jnp.float32) for width in widths]
    shapes = jax.eval_shape(model.init, jax.random.key(0), *arrays)
    return jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape)), shapes)


@pytest.mark.parametrize("causal", [False, True])
def test_a_causal_output_depends_on_what_is_before_it_alone(causal):
    rng = np.random.default_rng(0)
    model = MultiHeadAttention(4, 2, causal=causal)
    params, x = random_parameters(model, rng, 3), np.float32(rng.normal(size=(2, 5, 3)))
    slopes = jit(jax.jacobian(lambda x: model.apply(params, x)[0]))(x)
    depends = np.asarray(slopes != 0).any((2, 5))  # [B, t, B, s]
    b, t, a, s = np.ogrid[:2, :5, :2, :5]
    np.testing.assert_array_equal(depends, (a == b) & ((s <= t) | (not causal)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("each", [False, True])
def test_masked_keys_count_for_nothing(causal, each):
    """A mask of keys is one of all queries; what no query sees has no gradient."""
    rng = np.random.default_rng(0)
    model = MultiHeadAttention(4, 2, causal=causal)
    params = random_parameters(model, rng, 3, 6)
    x, memory = np.float32(rng.normal(size=(2, 5, 3))), np.float32(rng.normal(size=(2, 5, 6)))
    mask = np.array([[True, False, True, True, False], [False] * 5])
    given_mask = jnp.asarray(np.repeat(mask[:, None], 5, 1) if each else mask)

    def run(memory):
        y, weights = model.apply(params, x, memory, given_mask)
        return jnp.square(y).sum(), (y, weights)

    slopes, (y, weights) = jit(jax.grad(run, has_aux=True))(memory)
    np.testing.assert_array_equal(np.abs(slopes).sum(-1) > 0, mask)
    assert weights.shape == (2, 2, 5, 5) and weights.dtype == jnp.float32
    allowed = np.tri(5, dtype=bool) | (not causal)
    np.testing.assert_array_equal(weights[0] > 0, [mask[0] & allowed] * 2)
    np.testing.assert_allclose(weights[0].sum(-1), np.ones((2, 5)), rtol=1e-6)
    bias = params["params"]["out"]["bias"]
    np.testing.assert_allclose(y[1], np.tile(bias, (5, 1)), rtol=1e-6)  # no key: nothing is added


def test_keys_and_values_can_be_projected_once():
    rng = np.random.default_rng(0)
    model = MultiHeadAttention(4, 2)
    params = random_parameters(model, rng, 3, 6)
    x, memory = np.float32(rng.normal(size=(2, 5, 3))), np.float32(rng.normal(size=(2, 7, 6)))
    keys, values = model.apply(params, memory, method="project")
    assert keys.shape == values.shape == (2, 7, 2, 2)
    step = jit(lambda x: model.apply(params, x, keys, values, method="attend")[0])
    steps = np.concatenate([step(x[:, t : t + 1]) for t in range(5)], 1)
    assert_close(steps, jit(model.apply)(params, x, memory)[0], 1e-5)


def test_types_and_initial_weights():
    model, x = MultiHeadAttention(64, 4, dtype=jnp.bfloat16), jnp.zeros((1, 3, 32), jnp.bfloat16)
    (y, weights), params = jit(model.init_with_output)(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16 and weights.dtype == jnp.float32
    for name, fan_in in (("query", 32), ("key", 32), ("value", 32), ("out", 64)):
        part = params["params"][name]
        assert part["kernel"].shape == (fan_in, 64) and part["kernel"].dtype == jnp.float32
        np.testing.assert_allclose(part["kernel"].std(), (2 / (fan_in + 64)) ** 0.5, rtol=0.1)
        assert not part["bias"].any()
    bare = jax.eval_shape(MultiHeadAttention(64, 4, use_bias=False).init, jax.random.key(0), x)
    assert {name for part in bare["params"].values() for name in part} == {"kernel"}


@pytest.mark.parametrize(
    ("heads", "memory", "mask", "message"),
    [
        (3, None, None, "heads must divide features=4, got 3"),
        (0, None, None, "heads must be at least 1, got 0"),
        (2, (3, 5, 3), None, r"got \[2, 4, 2, 2\] and \[3, 5, 2, 2\]"),
        (2, (2, 5, 3), (2, 4), r"mask must have shape \[2, 5\] or \[2, 4, 5\].* got \[2, 4\]"),
    ],
)
def test_what_is_refused(heads, memory, mask, message):
    memory = None if memory is None else jnp.zeros(memory)
    mask = None if mask is None else jnp.zeros(mask, bool)
    with pytest.raises(ValueError, match=message):
        model = MultiHeadAttention(4, heads)
        model.init(jax.random.key(0), jnp.zeros((2, 4, 3)), memory, mask)
