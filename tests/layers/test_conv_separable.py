import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.inspect.cost import multiply_adds
from nets.layers.conv_separable import SeparableConv
from tests.support.checks import assert_close, jit
from tests.support.plain_convolution import plain


@pytest.mark.parametrize(
    "shape, window, multiplier, options, pads",
    [
        ((2, 7, 3), (3,), 1, {"padding": "CAUSAL", "dilation": 2}, ((4, 0),)),
        ((2, 5, 6, 3), (3, 2), 2, {"strides": (2, 1), "padding": 1}, ((1, 1), (1, 1))),
        ((1, 3, 4, 3, 2), (3, 1, 2), 3, {}, ((1, 1), (0, 0), (0, 1))),
    ],
)
def test_it_is_a_window_for_each_channel_and_a_mixture(shape, window, multiplier, options, pads):
    rng = np.random.default_rng(0)
    between, rank = shape[-1] * multiplier, len(window)
    depthwise = rng.normal(size=(*window, 1, between))
    pointwise, bias = rng.normal(size=(between, 4)), rng.normal(size=4)
    params = {
        "depthwise": {"kernel": depthwise},
        "pointwise": {"kernel": pointwise.reshape((1,) * rank + (between, 4)), "bias": bias},
    }
    x = rng.normal(size=shape)
    model = SeparableConv(4, window, multiplier=multiplier, dtype=None, **options)
    with jax.enable_x64(True):
        y = jit(model.apply)({"params": params}, x)
    each = {**options, "groups": shape[-1]}
    assert_close(y, plain(x, depthwise, pads, **each) @ pointwise + bias)


@pytest.mark.parametrize(("window", "multiplier", "dilation"), [(3, 2, 2), (1, 1, 1)])
def test_a_stream_equals_the_whole(window, multiplier, dilation):
    model = SeparableConv(
        4, (window,), padding="CAUSAL", dilation=dilation, multiplier=multiplier, dtype=None
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 3))
    with jax.enable_x64(True):
        shapes = jax.eval_shape(model.init, jax.random.key(0), x)
        variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)
        step = jit(functools.partial(model.apply, variables, method="step"))
        carry = np.float64(model.initial_carry((2, 3)))
        assert carry.shape == (2, (window - 1) * dilation, 3) and not carry.any()
        outputs = []
        for t in range(9):
            carry, y = step(carry, x[:, t])
            outputs.append(y)
        assert_close(np.stack(outputs, 1), jit(model.apply)(variables, x))
        init = functools.partial(model.init, method="step")
        assert jax.eval_shape(init, jax.random.key(0), carry, x[:, 0]) == shapes


@pytest.mark.parametrize("options", [{}, {"padding": "CAUSAL", "strides": 2}])
def test_what_is_no_stream_is_refused(options):
    with pytest.raises(ValueError, match="a stream needs padding='CAUSAL' and strides=1"):
        SeparableConv(4, (3,), **options).initial_carry((2, 3))


def test_parameters_and_cost():
    model = SeparableConv(128, (3, 3), multiplier=2, param_dtype=jnp.bfloat16, use_bias=False)
    x = jax.ShapeDtypeStruct((1, 14, 14, 64), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    shapes = jax.tree.map(lambda a: (a.shape, str(a.dtype)), variables["params"])
    assert shapes == {
        "depthwise": {"kernel": ((3, 3, 1, 128), "bfloat16")},
        "pointwise": {"kernel": ((1, 1, 128, 128), "bfloat16")},
    }
    jaxpr = jax.make_jaxpr(model.apply)(variables, x)
    assert multiply_adds(jaxpr) == 14 * 14 * (9 * 128 + 128 * 128)


def test_bfloat16():
    model = SeparableConv(4, (3,), dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), jnp.zeros((1, 5, 3)))
    assert y.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
