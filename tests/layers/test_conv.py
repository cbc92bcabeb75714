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
def test_it_equals_a_loop_over_positions_and_taps(name):
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


def test_output_size_counts_the_positions():
    axes = itertools.product(range(1, 8), range(1, 4), range(1, 4), (0, 1, 3), (0, 2), range(1, 4))
    for size, window, stride, low, high, dilation in axes:
        positions = range(-low, size + high)
        fits = [s for s in positions[::stride] if s + dilation * (window - 1) in positions]
        axis = size, window, stride, (low, high), dilation
        if fits:
            assert output_size(*axis) == len(fits), axis
        else:
            with pytest.raises(ValueError, match="must fit"):
                output_size(*axis)


def test_a_window_that_does_not_move_is_refused():
    with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
        output_size(5, 3, 0)


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
        ((1, 5, 4), (3, 3), {}, r"x must be .* 4 axes for window=\(3, 3\), got shape \[1, 5, 4\]"),
        ((1, 5, 4), (0,), {}, "window must be at least 1, got 0"),
        ((1, 5, 5, 4), (3, -1), {}, "window must be at least 1, got -1"),
        (
            (1, 5, 4),
            (3,),
            {"groups": 3},
            "groups must divide the 4 channels of x and features=6, got 3",
        ),
        (
            (1, 5, 8),
            (3,),
            {"groups": 4},
            "groups must divide the 8 channels of x and features=6, got 4",
        ),
        ((1, 5, 4), (3,), {"groups": 0}, "groups must be at least 1, got 0"),
        ((1, 5, 4), (7,), {"padding": 0}, "into 5 positions padded by 0 and 0, got a window of 7"),
        (
            *((1, 9, 4), (3,), {"padding": ((1, 2),), "dilation": 6}),
            "into 9 positions padded by 1 and 2, got a window of 13",
        ),
        (
            (1, 5, 5, 4),
            (3, 3),
            {"padding": "CAUSAL"},
            "padding must be .* of 2 axes, .*, got 'CAUSAL'",
        ),
        ((1, 5, 4), (3,), {"padding": "same"}, "padding must be .* SAME, VALID, .*, got 'same'"),
        ((1, 5, 4), (3,), {"padding": -1}, "padding must be a number >= 0, .* got -1"),
        ((1, 5, 4), (3,), {"padding": ((1, -1),)}, r"of 1 axes, .* got \(\(1, -1\),\)"),
        (
            (1, 5, 4),
            (3,),
            {"padding": ((1, 1), (1, 1))},
            r"of 1 axes, .* got \(\(1, 1\), \(1, 1\)\)",
        ),
        ((1, 5, 5, 4), (3, 3), {"padding": (1, 1)}, r"of 2 axes, .* got \(1, 1\)"),
        ((1, 5, 4), (3,), {"strides": 0}, "strides must be a number >= 1, .* of 1 axes, got 0"),
        ((1, 5, 4), (3,), {"strides": (1, 2)}, r"strides must be .* of 1 axes, got \(1, 2\)"),
        ((1, 5, 5, 4), (3, 3), {"dilation": (2,)}, r"dilation must be .* of 2 axes, got \(2,\)"),
        (
            (1, 5, 5, 4),
            (3, 3),
            {"dilation": (2, 0)},
            r"dilation must be .* of 2 axes, got \(2, 0\)",
        ),
    ],
)
def test_refusals(shape, window, options, message):
    x = jnp.zeros(shape)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(Conv(6, window, **options).init, jax.random.key(0), x)


@pytest.mark.parametrize("features", [0, -2])
def test_no_features_are_refused(features):
    with pytest.raises(ValueError, match=f"features must be at least 1, got {features}"):
        jax.eval_shape(Conv(features, (3,)).init, jax.random.key(0), jnp.zeros((1, 5, 4)))


@pytest.mark.parametrize("groups", [1, 2])
def test_weights_for_other_channels_are_refused(groups):
    model = Conv(6, (3,), groups=groups)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 5, 4)))
    jax.eval_shape(model.apply, variables, jnp.zeros((1, 5, 4)))
    with pytest.raises(ValueError, match="^x must have 4 channels, those of the kernel, got 2"):
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 5, 2)))


@pytest.mark.parametrize("shape, groups", [((3, 4, 6), 2), ((3, 2, 5), 2), ((3, 3, 4, 6), 1)])
def test_a_kernel_of_another_shape_is_refused(shape, groups):
    message = rf"x \[1, 5, 4\] and groups={groups}, got shape \[.*{shape[-1]}\]"
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(convolve, groups=groups), jnp.zeros((1, 5, 4)), jnp.zeros(shape)
        )
