"""Row convolution against plain loops, as a whole and as a stream."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.conv_row import RowConvolution
from tests.support.checks import assert_close, jit

TIME = 6


@pytest.mark.parametrize("context", [0, 2, 9])
def test_row_convolution(context):
    """A weighted sum over the steps t to t + context, unit by unit, and no other step."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, TIME, 3)), rng.normal(size=(context + 1, 3))
    expected = np.zeros_like(x)
    for b, t, d in np.ndindex(*x.shape):
        for j in range(min(context, TIME - 1 - t) + 1):
            expected[b, t, d] += kernel[j, d] * x[b, t + j, d]
    model = RowConvolution(context)
    apply = jax.jit(lambda x: model.apply({"params": {"kernel": kernel}}, x))
    assert_close(apply(x), expected, 1e-5)
    depends = np.asarray(jax.jit(jax.jacobian(apply))(np.float32(x))) != 0
    b, t, d, a, s, e = np.ogrid[:2, :TIME, :3, :2, :TIME, :3]
    np.testing.assert_array_equal(depends, (b == a) & (d == e) & (s >= t) & (s <= t + context))


def test_row_convolution_at_first():
    """Weights whose sum over the steps has the variance of one input."""
    model = RowConvolution(15, param_dtype=jnp.bfloat16)
    y, params = model.init_with_output(jax.random.key(0), jnp.ones((1, 16, 4000)))
    kernel = params["params"]["kernel"]
    assert kernel.shape == (16, 4000) and kernel.dtype == jnp.bfloat16 and y.dtype == jnp.float32
    np.testing.assert_allclose(np.var(np.float32(kernel), axis=1), np.full(16, 1 / 16), rtol=0.2)
    np.testing.assert_allclose(np.var(y[0, 0]), 1, rtol=0.1)


@pytest.mark.parametrize("context", [0, 2, 9])
def test_a_stream_is_the_whole_and_late_by_the_context(context):
    model, rng = RowConvolution(context), np.random.default_rng(0)
    x = np.float32(rng.normal(size=(2, TIME, 3)))
    params = {"params": {"kernel": rng.normal(size=(context + 1, 3))}}
    step = jit(functools.partial(model.apply, params, method="step"))
    carry, outputs = model.initial_carry((2, 3)), []
    for step_input in (*x.swapaxes(0, 1), *np.zeros((context, 2, 3), np.float32)):
        carry, y = step(carry, step_input)
        outputs.append(y)
    assert_close(np.stack(outputs[context:], 1), model.apply(params, x), 1e-6)
