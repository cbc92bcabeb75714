import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.conv import Conv, convolve, explicit_pads, output_size
from tests.support.checks import assert_close, assert_gradient, jit
from tests.support.plain_convolution import CASES, case, plain, with_gradients


@pytest.mark.parametrize("name", CASES)
def test_it_equals_a_loop_over_places_and_taps(name):
    model, params, x, weights, pads, options, _ = case(name)

    def value(params, x):
        y = plain(x, params["kernel"], pads, **options) + params["bias"]
        return (weights * y).sum()

    with jax.enable_x64(True):
        y, gradients = with_gradients(model)(params, x, weights)
        assert_close(y, plain(x, params["kernel"], pads, **options) + params["bias"])
        assert_gradient(gradients, value, (params, x))


@pytest.mark.parametrize("bias", [{}, {"bias": ((12,), "bfloat16")}])
def test_parameters(bias):
    model = Conv(12, (3, 2), groups=2, use_bias=bool(bias), param_dtype=jnp.bfloat16)
    x = jax.ShapeDtypeStruct((1, 5, 5, 4), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
    shapes = {name: (a.shape, str(a.dtype)) for name, a in params.items()}
    assert shapes == {"kernel": ((3, 2, 2, 12), "bfloat16")} | bias


def test_the_kernel_starts_by_its_fan_in():
    model = Conv(256, (3, 3), groups=4)
    x = jnp.zeros((1, 3, 3, 64))
    params = jit(model.init)(jax.random.key(0), x)["params"]
    np.testing.assert_allclose(params["kernel"].std(), (9 * 64 / 4) ** -0.5, rtol=0.01)
    np.testing.assert_array_equal(params["bias"], 0)


def test_flip_is_the_convolution_of_mathematics():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=9), rng.normal(size=4)
    model = Conv(1, (4,), padding=3, flip=True, use_bias=False, dtype=None)
    with jax.enable_x64(True):
        y = jit(model.apply)({"params": {"kernel": kernel[:, None, None]}}, x[None, :, None])
    assert_close(y[0, :, 0], np.convolve(x, kernel))


def test_output_size_counts_the_places():
    axes = itertools.product(range(1, 8), range(1, 4), range(1, 4), (0, 1, 3), (0, 2), range(1, 4))
    for size, window, stride, low, high, dilation in axes:
        places = range(-low, size + high)
        fits = [s for s in places[::stride] if s + dilation * (window - 1) in places]
        given = size, window, stride, (low, high), dilation
        if fits:
            assert output_size(*given) == len(fits), given
        else:
            with pytest.raises(ValueError, match="does not fit"):
                output_size(*given)


def test_same_makes_as_many_outputs_as_there_are_strides():
    for size, window, stride, dilation in itertools.product(
        range(1, 8), range(1, 5), *[(1, 2, 3)] * 2
    ):
        ((low, high),) = explicit_pads((size,), (window,), (stride,), "SAME", (dilation,))
        assert high - low in (0, 1)
        assert output_size(size, window, stride, (low, high), dilation) == -(-size // stride)


@pytest.mark.parametrize(
    "shape, window, options, message",
    [
        ((1, 5, 4), (3, 3), {}, r"a window \(3, 3\) takes x of 4 axes, not \(1, 5, 4\)"),
        ((1, 5, 4), (0,), {}, r"features=6, window=\(0,\): valid are numbers from 1 up"),
        ((1, 5, 5, 4), (3, -1), {}, r"features=6, window=\(3, -1\)"),
        ((1, 5, 4), (3,), {"groups": 3}, "groups=3 must divide the 4 channels of x and features=6"),
        ((1, 5, 8), (3,), {"groups": 4}, "groups=4 must divide the 8 channels of x and features=6"),
        ((1, 5, 4), (7,), {"padding": 0}, "a window of 7 does not fit into 5 places padded by 0"),
        (
            *((1, 9, 4), (3,), {"padding": ((1, 2),), "dilation": 6}),
            "a window of 13 does not fit into 9 places padded by 1 and 2",
        ),
        ((1, 5, 5, 4), (3, 3), {"padding": "CAUSAL"}, "padding='CAUSAL' for 2 axes: valid are"),
        ((1, 5, 4), (3,), {"padding": "same"}, "padding='same' for 1 axes: valid .* SAME, VALID"),
        ((1, 5, 4), (3,), {"padding": -1}, "padding=-1 for 1 axes: valid are a number from 0 up"),
        ((1, 5, 4), (3,), {"padding": ((1, -1),)}, r"padding=\(\(1, -1\),\) for 1 axes"),
        ((1, 5, 4), (3,), {"padding": ((1, 1), (1, 1))}, r"padding=\(\(1, 1\), \(1, 1\)\) for 1"),
        ((1, 5, 5, 4), (3, 3), {"padding": (1, 1)}, r"padding=\(1, 1\) for 2 axes"),
        ((1, 5, 4), (3,), {"strides": 0}, "strides=0 for 1 axes: valid are a number from 1 up"),
        ((1, 5, 4), (3,), {"strides": (1, 2)}, r"strides=\(1, 2\) for 1 axes: .* or one for each"),
        ((1, 5, 5, 4), (3, 3), {"dilation": (2,)}, r"dilation=\(2,\) for 2 axes"),
        ((1, 5, 5, 4), (3, 3), {"dilation": (2, 0)}, r"dilation=\(2, 0\) for 2 axes"),
    ],
)
def test_refusals(shape, window, options, message):
    x = jnp.zeros(shape)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(Conv(6, window, **options).init, jax.random.key(0), x)


@pytest.mark.parametrize("features", [0, -2])
def test_no_features_are_refused(features):
    with pytest.raises(ValueError, match=rf"features={features}, window=\(3,\): valid are"):
        jax.eval_shape(Conv(features, (3,)).init, jax.random.key(0), jnp.zeros((1, 5, 4)))


@pytest.mark.parametrize("groups", [1, 2])
def test_weights_for_other_channels_are_refused(groups):
    model = Conv(6, (3,), groups=groups)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 5, 4)))
    jax.eval_shape(model.apply, variables, jnp.zeros((1, 5, 4)))
    with pytest.raises(ValueError, match="^weights for 4 channels, x of 2"):
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 5, 2)))


@pytest.mark.parametrize("shape, groups", [((3, 4, 6), 2), ((3, 2, 5), 2), ((3, 3, 4, 6), 1)])
def test_a_kernel_of_another_shape_is_refused(shape, groups):
    message = rf"a kernel .*{shape[-1]}\) does not fit x \(1, 5, 4\) in groups={groups}"
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(convolve, groups=groups), jnp.zeros((1, 5, 4)), jnp.zeros(shape)
        )
