import functools
import unittest.mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.inspect.cost import multiply_adds
from nets.layers import conv_transpose
from nets.layers.conv import Conv, convolve
from nets.layers.conv_transpose import ConvTranspose, convolve_transpose
from tests.support.checks import assert_close, assert_gradient, jit
from tests.support.plain_convolution import with_gradients

CASES = {
    "doubled": ((2, 3, 4, 3), (4, 4), 9, {"strides": 2, "padding": 1}, ((1, 1), (1, 1))),
    "odd": (
        *((1, 3, 2, 2), (3, 3), 9, {"strides": 2, "padding": 1, "output_padding": (1, 0)}),
        ((1, 0), (1, 1)),
    ),
    "odd, few features": ((1, 3, 2, 2), (3, 3), 2, {"strides": 2}, ((0, 1), (0, 1))),
    "same, even": ((1, 3, 2, 2), (4, 2), 2, {"strides": (3, 2)}, ((0, 1), (0, 0))),
    "stride 1": ((1, 4, 5, 2), (3, 2), 3, {"padding": ((1, 0), (0, 1))}, ((1, 0), (0, 1))),
    "dilated": (
        (1, 3, 4, 2),
        (3, 2),
        3,
        {"strides": (2, 1), "dilation": (2, 3), "padding": 1},
        ((1, 1),) * 2,
    ),
    "dilated same": ((1, 4, 2), (3,), 3, {"strides": 2, "dilation": 3}, ((2, 3),)),
    "one axis": ((2, 4, 3), (5,), 10, {"strides": 3, "padding": ((2, 1),)}, ((2, 1),)),
    "three axes": (
        (1, 2, 3, 2, 2),
        (3, 2, 1),
        9,
        {"strides": (2, 1, 2), "padding": "VALID"},
        ((0, 0),) * 9,
    ),
    "window below stride": (
        (1, 3, 2),
        (2,),
        9,
        {"strides": 3, "padding": 0, "output_padding": 1},
        ((0, -1),),
    ),
    "same, window below stride": ((1, 3, 2), (2,), 9, {"strides": 3}, ((0, -1),)),
    "all but the middle cut": ((1, 5, 2), (2,), 3, {"strides": 2, "padding": 4}, ((4, 4),)),
    "cut beyond the window": ((1, 7, 2), (3,), 3, {"padding": 4}, ((4, 4),)),
    "nine phases": ((1, 2, 3, 2), (4, 2), 9, {"strides": 3, "padding": "VALID"}, ((0, 0),) * 9),
}
"""Shape of x, window, features, options, and what is cut off at each end (below 0: added)."""


def to_tuple(value, rank):
    return (value,) * rank if isinstance(value, int) else value


def painted(x, kernel, cuts, strides=1, dilation=1, **_):
    """Each position of x adds its window to a canvas, which is cut at each end."""
    window, sizes = kernel.shape[:-2], x.shape[1:-1]
    strides, dilation = to_tuple(strides, x.ndim - 2), to_tuple(dilation, x.ndim - 2)
    axes = list(zip(sizes, window, strides, dilation, strict=True))
    full = [(n - 1) * s + (w - 1) * d + 1 for n, w, s, d in axes]
    canvas = np.zeros((len(x), *(n + 9 for n in full), kernel.shape[-1]))
    for position in np.ndindex(*sizes):
        for tap in np.ndindex(*window):
            at = [
                p * s + t * d for p, t, s, d in zip(position, tap, strides, dilation, strict=True)
            ]
            canvas[:, *at] += x[:, *position] @ kernel[tap]
    inside = (slice(low, n - high) for n, (low, high) in zip(full, cuts[: len(full)], strict=True))
    return canvas[:, *inside]


def case(name):
    """A model, its parameters, x, weights of the outputs, what is cut off, and the options."""
    shape, window, features, options, cuts = CASES[name]
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(*window, shape[-1], features)), rng.normal(size=features)
    x = rng.normal(size=shape)
    weights = rng.normal(size=painted(x, kernel, cuts, **options).shape)
    model = ConvTranspose(features, window, dtype=None, **options)
    return model, {"kernel": kernel, "bias": bias}, x, weights, cuts, options


@pytest.mark.parametrize("name", CASES)
def test_it_adds_windows_to_a_canvas(name):
    model, params, x, weights, cuts, options = case(name)

    def value(params, x):
        return (weights * (painted(x, params["kernel"], cuts, **options) + params["bias"])).sum()

    with jax.enable_x64(True):
        y, gradients = with_gradients(model)(params, x, weights)
        assert_close(y, painted(x, params["kernel"], cuts, **options) + params["bias"])
        assert_gradient(gradients, value, (params, x))


@pytest.mark.parametrize("name", CASES)
def test_other_devices_compute_the_same(name):
    model, params, x, weights, *_ = case(name)
    with jax.enable_x64(True):
        on_cpu = with_gradients(model)(params, x, weights)
        with unittest.mock.patch.object(conv_transpose, "_by_phases", conv_transpose._spread):
            elsewhere = with_gradients(model)(params, x, weights)
    assert_close(on_cpu, elsewhere)


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_transpose_of_a_convolution(name):
    _, params, x, weights, _, options = case(name)
    kernel = params["kernel"]
    backwards = {k: v for k, v in options.items() if k != "output_padding"}

    def conv(image):
        return convolve(image, kernel.swapaxes(-1, -2), **backwards)

    def both(x):
        return (convolve_transpose(x, kernel, **options),), jax.linear_transpose(conv, weights)(x)

    with jax.enable_x64(True):
        assert_close(*jit(both)(x))


def lowered(platform, x, kernel, weights, **options):
    def run(x, kernel, weights):
        y, pullback = jax.vjp(functools.partial(convolve_transpose, **options), x, kernel)
        return y, pullback(weights)

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (x, kernel, weights)]
    return jax.jit(run).trace(*shapes).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.xla
@pytest.mark.parametrize(
    "window, stride, padding, out, left",
    [(4, 2, 1, 32, 3), (3, 2, 0, 33, 9), (2, 2, 0, 32, 0), (4, 3, 0, 49, 3)],
)
def test_a_cpu_convolves_without_holes(window, stride, padding, out, left):
    """`left` is of the forward pass and both gradients; phases of one tap are matmuls."""
    shapes = (8, 16, 16, 32), (window, window, 32, 16), (8, out, out, 16)
    on_cpu = lowered("cpu", *shapes, strides=stride, padding=padding)
    assert on_cpu.count("stablehlo.convolution") == left
    holes = f"lhs_dilate = [{stride}, {stride}]"
    assert holes not in on_cpu
    on_gpu = lowered("cuda", *shapes, strides=stride, padding=padding)
    assert on_gpu.count("stablehlo.convolution") == 3
    assert holes in on_gpu and "stablehlo.dot_general" not in on_gpu


def test_it_costs_as_much_as_the_convolution():
    x, y = jnp.zeros((2, 8, 8, 5)), jnp.zeros((2, 16, 16, 12))

    def cost(model, x):
        variables = jax.eval_shape(model.init, jax.random.key(0), x)
        return multiply_adds(jax.make_jaxpr(model.apply)(variables, x))

    published = 2 * 8 * 8 * 3 * 3 * 5 * 12
    assert cost(Conv(5, (3, 3), 2), y) == cost(ConvTranspose(12, (3, 3), 2), x) == published
    where = {"strides": 2, "low": 0, "out": 17, "dilation": 1}
    where = {name: np.array([value] * 2) for name, value in where.items()}
    kernel = jnp.zeros((3, 3, 5, 12))
    phases = jax.make_jaxpr(functools.partial(conv_transpose._by_phases, **where))(x, kernel)
    assert published < multiply_adds(phases) < 1.3 * published  # one window more, at the border


def test_types_and_parameters():
    model = ConvTranspose(4, (3, 2), 2, use_bias=False, dtype=jnp.bfloat16)
    x = jax.ShapeDtypeStruct((1, 5, 4, 6), jnp.float32)
    y, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    assert (y.shape, y.dtype) == ((1, 10, 8, 4), jnp.bfloat16)
    shapes = jax.tree.map(lambda a: (a.shape, str(a.dtype)), variables["params"])
    assert shapes == {"kernel": ((3, 2, 6, 4), "float32")}


@pytest.mark.parametrize(
    "shape, options, message",
    [
        ((1, 5, 5, 4), {}, r"x must be .* 3 axes for window=\(3,\), got shape \[1, 5, 5, 4\]"),
        ((1, 5, 4), {"padding": "CAUSAL"}, "padding must be .* SAME or VALID, got 'CAUSAL'"),
        ((1, 5, 4), {"padding": "CIRCULAR"}, "padding must be .* got 'CIRCULAR'"),
        ((1, 5, 4), {"padding": "full"}, "padding must be .* of 1 axes, .* got 'full'"),
        ((1, 2, 4), {"padding": 2}, r"padding must be less than the \(4,\) positions .* got 2"),
        ((1, 5, 4), {"strides": 0}, "strides must be .* of 1 axes, got 0"),
        ((1, 5, 4), {"dilation": (1, 1)}, r"dilation must be .* of 1 axes, got \(1, 1\)"),
        (
            *((1, 5, 4), {"padding": 0, "strides": 2, "output_padding": 2}),
            r"output_padding must be from 0 to below the strides \(2,\), got 2",
        ),
        (
            (1, 5, 4),
            {"padding": 0, "output_padding": -1},
            "output_padding must be from 0 .* got -1",
        ),
        (
            (1, 5, 4),
            {"padding": 0, "output_padding": (0, 0)},
            r"output_padding must be .* got \(0, 0\)",
        ),
        (
            *((1, 5, 4), {"strides": 2, "output_padding": 1}),
            "output_padding must be 0 with padding='SAME', got 1",
        ),
    ],
)
def test_refusals(shape, options, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(ConvTranspose(6, (3,), **options).init, jax.random.key(0), jnp.zeros(shape))
