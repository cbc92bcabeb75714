import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from nets.layers.convolution import NHWC, TableConv, fan_in_uniform, small_image_conv

STRIDES = (1, 1), (2, 3)
PADDINGS = "VALID", "SAME", ((1, 2), (0, 3))


@pytest.mark.parametrize("strides, padding", list(itertools.product(STRIDES, PADDINGS)))
def test_small_image_conv_equals_the_general_one(strides, padding):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 8, 9, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 4, 3, 5)), jnp.float32)

    def general(x, kernel):
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=NHWC)

    def small(x, kernel):
        return small_image_conv(x, kernel, strides, padding)

    def with_gradients(conv):
        y, pullback = jax.vjp(conv, x, kernel)
        return y, *pullback(jnp.sin(y))

    got, want = jax.jit(lambda: (with_gradients(small), with_gradients(general)))()
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_small_image_conv_follows_the_platform():
    model = nn.Conv(6, (5, 5), conv_general_dilated=small_image_conv)
    x = jnp.zeros((2, 28, 28, 1))
    variables = model.init(jax.random.key(0), x)
    traced = jax.jit(model.apply).trace(variables, x)
    assert "stablehlo.convolution" not in traced.lower(lowering_platforms=("cpu",)).as_text()
    on_gpu = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "stablehlo.convolution" in on_gpu and "stablehlo.dot_general" not in on_gpu


def test_small_image_conv_refuses_what_it_cannot():
    x = jnp.zeros((1, 8, 8, 4))
    for options in ({"kernel_dilation": 2}, {"input_dilation": 2}, {"feature_group_count": 2}):
        model = nn.Conv(4, (3, 3), conv_general_dilated=small_image_conv, **options)
        with pytest.raises(ValueError, match="dilations and feature groups of 1 only"):
            jax.eval_shape(model.init, jax.random.key(0), x)


def test_table_conv_connects_what_the_table_says():
    model = TableConv(3, table=((0, 2), (1,), (0, 1, 2, 3)), stride=2, unit_biases=True)
    x = jax.random.normal(jax.random.key(1), (1, 9, 7, 4))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    shapes = jax.tree.map(jnp.shape, variables["params"])
    assert shapes == {"kernel": (5, 5, 7), "bias": (3, 2, 3)}
    jacobian = jax.jit(jax.jacobian(lambda x: model.apply(variables, x)))(x)[0, :, :, :, 0]
    seen = np.any(np.asarray(jacobian) != 0, axis=(0, 1, 3, 4))  # [maps, input maps]
    np.testing.assert_array_equal(seen, [[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]])


def test_fan_in_uniform_fills_its_range():
    fan_in = np.array([10, 100])
    draws = fan_in_uniform(fan_in)(jax.random.key(0), (50, 40, 2), jnp.float32)
    limit = 2.4 / fan_in
    assert np.all(np.abs(draws).max(axis=(0, 1)) <= limit)
    np.testing.assert_allclose(draws.max(axis=(0, 1)), limit, rtol=0.01)
    np.testing.assert_allclose(draws.min(axis=(0, 1)), -limit, rtol=0.01)
    np.testing.assert_allclose(draws.std(axis=(0, 1)), limit / 3**0.5, rtol=0.05)
