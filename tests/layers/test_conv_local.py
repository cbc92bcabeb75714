import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.conv import Conv
from nets.layers.conv_local import LocallyConnected
from tests.support.checks import assert_close, assert_gradient, jit
from tests.support.plain_convolution import with_gradients

# shape of x, window, options, strides, the padding worked out by hand, positions
CASES = {
    "one axis": ((2, 7, 3), (3,), {"strides": 2, "padding": ((0, 2),)}, (2,), ((0, 2),), (4,)),
    "same": (
        *((2, 5, 4, 3), (2, 3), {"strides": (1, 2)}),
        *((1, 2), ((0, 1), (0, 1)), (5, 2)),
    ),
    "circular": ((1, 4, 2), (3,), {"padding": "CIRCULAR"}, (1,), ((1, 1),), (4,)),
    "number": ((1, 3, 3, 2), (3, 3), {"padding": 1}, (1, 1), ((1, 1), (1, 1)), (3, 3)),
    "three axes": (
        *((1, 3, 4, 2, 2), (2, 3, 1), {"padding": "VALID"}),
        *((1, 1, 1), ((0, 0),) * 3, (2, 2, 2)),
    ),
}


def plain(x, kernel, window, strides, pads, mode):
    x = np.pad(x, ((0, 0), *pads, (0, 0)), mode=mode)
    positions, (_, features) = kernel.shape[:-2], kernel.shape[-2:]
    y = np.zeros((len(x), *positions, features))
    for position in np.ndindex(*positions):
        for b, f in np.ndindex(len(x), features):
            first = np.multiply(position, strides)
            patch = x[b, *map(slice, first, first + window)]
            y[b, *position, f] = (patch.ravel() * kernel[position][:, f]).sum()
    return y


@pytest.mark.parametrize("name", CASES)
def test_each_position_has_its_own_kernel(name):
    shape, window, options, strides, pads, positions = CASES[name]
    model = LocallyConnected(4, window, dtype=None, **options)
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(*positions, np.prod(window) * shape[-1], 4))
    params = {"kernel": kernel, "bias": rng.normal(size=(*positions, 4))}
    x, weights = rng.normal(size=shape), rng.normal(size=(shape[0], *positions, 4))
    mode = "wrap" if name == "circular" else "constant"

    def forward(params, x):
        return plain(x, params["kernel"], window, strides, pads, mode) + params["bias"]

    with jax.enable_x64(True):
        y, gradients = with_gradients(model)(params, x, weights)
        assert_close(y, forward(params, x))
        assert_gradient(
            gradients, lambda *arguments: (weights * forward(*arguments)).sum(), (params, x)
        )


def test_equal_kernels_make_a_convolution():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(3, 2, 3, 4))
    options = {"strides": (2, 1), "padding": 1, "use_bias": False, "dtype": None}
    everywhere = np.broadcast_to(kernel.reshape(18, 4), (3, 7, 18, 4))
    with jax.enable_x64(True):
        shared, separate = (
            jit(layer(4, (3, 2), **options).apply)({"params": {"kernel": k}}, x)
            for layer, k in ((Conv, kernel), (LocallyConnected, everywhere))
        )
    assert_close(separate, shared)


def test_kernels_are_drawn_position_by_position_by_their_fan_in():
    model = LocallyConnected(64, (3,), padding="VALID", param_dtype=jnp.bfloat16)
    variables = jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 16)))
    kernel, bias = (np.float32(variables["params"][name]) for name in ("kernel", "bias"))
    assert variables["params"]["kernel"].dtype == jnp.bfloat16
    assert kernel.shape == (6, 48, 64) and bias.shape == (6, 64) and not bias.any()
    np.testing.assert_allclose(kernel.std(axis=(1, 2)), 48**-0.5, rtol=0.05)
    drawn = kernel.reshape(6, -1)
    assert np.abs(np.corrcoef(drawn) - np.eye(6)).max() < 0.1


def test_weights_are_those_of_one_size():
    model = LocallyConnected(4, (3, 3), use_bias=False, dtype=jnp.bfloat16)
    x = jnp.zeros((2, 5, 4, 3))
    y, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    assert (y.shape, y.dtype) == ((2, 5, 4, 4), jnp.bfloat16)
    shapes = jax.tree.map(lambda a: (a.shape, str(a.dtype)), variables["params"])
    assert shapes == {"kernel": ((5, 4, 27, 4), "float32")}
    assert "dot_general" in str(jax.make_jaxpr(model.apply)(variables, x))


@pytest.mark.parametrize(
    "shape, options, message",
    [
        ((1, 5, 5, 4), {}, r"x must be .* 3 axes for window=\(3,\), got shape \[1, 5, 5, 4\]"),
        ((1, 2, 4), {"padding": 0}, "into 2 positions .* got a window of 3"),
        ((1, 5, 4), {"padding": "same"}, "padding must be .* of 1 axes, .* got 'same'"),
        ((1, 5, 4), {"strides": (1, 1)}, r"strides must be .* of 1 axes, got \(1, 1\)"),
    ],
)
def test_refusals(shape, options, message):
    model = LocallyConnected(6, (3,), **options)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
