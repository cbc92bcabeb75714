"""Causal convolution, as a whole and as a stream."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.convolution import Conv
from tests.layers.checks import assert_close, jit


def test_a_stream_equals_the_whole():
    model = Conv(4, (3,), padding="CAUSAL", dilation=2, flip=True, dtype=None)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 3))
    with jax.enable_x64(True):
        variables = jit(model.init)(jax.random.key(0), x)
        step = jit(functools.partial(model.apply, variables, method="step"))
        state = np.float64(model.init_state((2, 3)))
        assert state.shape == (2, 4, 3) and not state.any()
        outputs = []
        for t in range(9):
            state, y = step(state, x[:, t])
            outputs.append(y)
        assert_close(np.stack(outputs, 1), jit(model.apply)(variables, x))
    np.testing.assert_array_equal(state, x[:, -4:])


def test_a_stack_streams_as_a_whole():
    first = Conv(5, (2,), padding="CAUSAL", dtype=None)
    second = Conv(3, (3,), padding="CAUSAL", dilation=3, dtype=None)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 12, 2))
    params = [
        {"kernel": rng.normal(size=shape), "bias": rng.normal(size=shape[-1])}
        for shape in ((2, 2, 5), (3, 5, 3))
    ]

    def whole(params, x):
        h = jnp.cos(first.apply({"params": params[0]}, x))
        return second.apply({"params": params[1]}, h)

    def stream(params, x):
        def step(states, x):
            a, h = first.apply({"params": params[0]}, states[0], x, method="step")
            b, y = second.apply({"params": params[1]}, states[1], jnp.cos(h), method="step")
            return (a, b), y

        states = first.init_state((2, 2)), second.init_state((2, 5))
        states = jax.tree.map(lambda a: a.astype(x.dtype), states)
        return jax.lax.scan(step, states, x.swapaxes(0, 1))[1].swapaxes(0, 1)

    with jax.enable_x64(True):
        assert_close(jit(stream)(params, x), jit(whole)(params, x))


def test_a_stream_computes_in_its_type():
    model = Conv(4, (3,), padding="CAUSAL", dtype=jnp.bfloat16)
    x = jnp.zeros((2, 3))
    state = model.init_state((2, 3))
    variables = jax.eval_shape(model.init, jax.random.key(0), x[:, None])
    after, y = jax.eval_shape(lambda v: model.apply(v, state, x, method="step"), variables)
    assert state.dtype == after.dtype == y.dtype == jnp.bfloat16
    assert after.shape == state.shape and y.shape == (2, 4)


def test_causal_sees_no_future_and_all_of_its_past():
    model = Conv(1, (3,), padding="CAUSAL", dilation=2)
    x = jax.random.normal(jax.random.key(0), (1, 8, 1))
    variables = jit(model.init)(jax.random.key(1), x)
    slopes = jit(jax.jacobian(lambda x: model.apply(variables, x)[0, :, 0]))(x)[:, 0, :, 0]
    t, u = np.ogrid[:8, :8]
    np.testing.assert_array_equal(slopes != 0, np.isin(t - u, (0, 2, 4)))


@pytest.mark.parametrize(
    "window, options",
    [((3,), {}), ((3,), {"padding": "CAUSAL", "strides": 2}), ((3, 3), {"padding": "CAUSAL"})],
)
def test_what_is_no_stream_is_refused(window, options):
    model = Conv(6, window, **options)
    message = rf"only a causal .* not padding='{model.padding}', strides={model.strides}"
    with pytest.raises(ValueError, match=message):
        model.init_state((2, 3))
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(model.init, method="step"),
            *(jax.random.key(0), jnp.zeros((2, 2, 3)), jnp.zeros((2, 3))),
        )
