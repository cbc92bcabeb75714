"""Causal convolution, as a whole and as a stream."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.conv import Conv
from tests.support.checks import assert_close, jit


def test_a_stream_equals_the_whole():
    model = Conv(4, (3,), padding="CAUSAL", dilation=2, flip=True, dtype=None)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 3))
    with jax.enable_x64(True):
        variables = jit(model.init)(jax.random.key(0), x)
        step = jit(functools.partial(model.apply, variables, method="step"))
        carry = np.float64(model.initial_carry((2, 3)))
        assert carry.shape == (2, 4, 3) and not carry.any()
        outputs = []
        for t in range(9):
            carry, y = step(carry, x[:, t])
            outputs.append(y)
        assert_close(np.stack(outputs, 1), jit(model.apply)(variables, x))
    np.testing.assert_array_equal(carry, x[:, -4:])


def test_a_stack_streams_as_a_whole():
    """Dilated four times, in groups, depthwise, 1x1, with residuals, as in a WaveNet."""
    causal = functools.partial(Conv, padding="CAUSAL", dtype=None)
    layers = (
        causal(4, (2,)),
        causal(4, (2,), dilation=2, groups=2),
        causal(4, (3,), dilation=4, groups=4, use_bias=False),
        causal(4, (2,), dilation=8, flip=True),
        causal(3, (1,)),
    )
    widths = (2, 4, 4, 4, 4)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 30, 2))

    def joined(h, y):
        y = jnp.cos(y)
        return h + y if h.shape == y.shape else y

    def whole(variables, x):
        for layer, layer_variables in zip(layers, variables, strict=True):
            x = joined(x, layer.apply(layer_variables, x))
        return x

    def stream(variables, x):
        def step(carries, x):
            after = []
            for layer, layer_variables, carry in zip(layers, variables, carries, strict=True):
                carry, y = layer.apply(layer_variables, carry, x, method="step")
                after.append(carry)
                x = joined(x, y)
            return after, x

        carries = [layer.initial_carry((2, c)) for layer, c in zip(layers, widths, strict=True)]
        carries = jax.tree.map(lambda a: a.astype(x.dtype), carries)
        return jax.lax.scan(step, carries, x.swapaxes(0, 1))[1].swapaxes(0, 1)

    with jax.enable_x64(True):
        shapes = [
            jax.eval_shape(layer.init, jax.random.key(0), np.zeros((2, 30, c)))
            for layer, c in zip(layers, widths, strict=True)
        ]
        variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)
        assert_close(jit(stream)(variables, x), jit(whole)(variables, x))
        # (window - 1) dilation of every layer lie between an output and the first that it sees
        slope = jit(jax.grad(lambda x: whole(variables, x)[:, -1].sum()))(x)
        assert np.flatnonzero(np.any(slope, (0, 2)))[0] == 29 - (1 + 2 + 8 + 8)


def test_a_stream_computes_in_its_type():
    model = Conv(4, (3,), padding="CAUSAL", dtype=jnp.bfloat16)
    x = jnp.zeros((2, 3))
    carry = model.initial_carry((2, 3))
    variables = jax.eval_shape(model.init, jax.random.key(0), x[:, None])
    after, y = jax.eval_shape(lambda v: model.apply(v, carry, x, method="step"), variables)
    assert carry.dtype == after.dtype == y.dtype == jnp.bfloat16
    assert after.shape == carry.shape and y.shape == (2, 4)


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
    message = rf"a stream needs .* got padding='{model.padding}', strides={model.strides}"
    with pytest.raises(ValueError, match=message):
        model.initial_carry((2, 3))
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(model.init, method="step"),
            *(jax.random.key(0), jnp.zeros((2, 2, 3)), jnp.zeros((2, 3))),
        )
