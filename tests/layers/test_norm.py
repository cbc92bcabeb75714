import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.norm import BatchNorm, FrozenBatchNorm, local_response_norm
from tests.support.checks import assert_gradient, jit


def test_batch_norm_follows_its_statistics():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, size=(2, 2, 1, 3))
    values, scale, bias = x.reshape(4, 3), rng.normal(size=3), rng.normal(size=3)
    old_mean, old_variance = rng.normal(size=3), rng.uniform(1, 2, size=3)
    make = functools.partial(BatchNorm, dtype=jnp.float64, param_dtype=jnp.float64)
    variables = {
        "params": {"scale": scale, "bias": bias},
        "batch_stats": {"mean": old_mean, "var": old_variance},
    }
    with jax.enable_x64():

        def both(variables, x):
            y, new = make(use_running_average=False).apply(variables, x, mutable="batch_stats")
            return y, new["batch_stats"], make(use_running_average=True).apply(variables, x)

        y, new, running = jit(both)(variables, x)
    mean, variance = values.sum(0) / 4, np.square(values - values.mean(0)).sum(0) / 4
    normal = (values - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(y.reshape(4, 3), normal * scale + bias, rtol=1e-10)
    np.testing.assert_allclose(new["mean"], 0.9 * old_mean + 0.1 * mean, rtol=1e-10)
    np.testing.assert_allclose(new["var"], 0.9 * old_variance + 0.1 * variance, rtol=1e-10)
    normal = (values - old_mean) / np.sqrt(old_variance + 1e-5)
    np.testing.assert_allclose(running.reshape(4, 3), normal * scale + bias, rtol=1e-10)


def test_frozen_batch_norm_has_no_parameters_and_keeps_its_statistics():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, size=(2, 4, 3)).astype(np.float32)
    scale, bias, mean = rng.normal(size=(3, 3)).astype(np.float32)
    stored = {"scale": scale, "bias": bias, "mean": mean, "var": np.array([1, 2, 3], np.float32)}
    y, new = FrozenBatchNorm().apply({"batch_stats": stored}, x, mutable=["batch_stats"])
    expected = (x - mean) / np.sqrt(stored["var"] + 1e-5) * scale + bias
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, new["batch_stats"], stored)
    assert FrozenBatchNorm().init(jax.random.key(0), x).keys() == {"batch_stats"}


def response_loop(x, size, k, alpha, beta):
    y, channels = np.zeros_like(x), x.shape[-1]
    for index in np.ndindex(x.shape):
        *position, i = index
        low, high = max(0, i - size // 2), min(channels - 1, i + (size - 1) // 2)
        energy = sum(x[(*position, j)] ** 2 for j in range(low, high + 1))
        y[index] = x[index] / (k + alpha * energy) ** beta
    return y


@pytest.mark.parametrize("size", [1, 4, 5, 30])
def test_local_response_norm_equals_the_loop(size):
    rng = np.random.default_rng(size)
    x, dy = rng.normal(size=(2, 2, 3, 7)), rng.normal(size=(2, 2, 3, 7))
    options = (size, 1.5, 0.3, 0.6)
    with jax.enable_x64():

        def with_gradient(x):
            y, pullback = jax.vjp(lambda x: local_response_norm(x, *options), x)
            return y, pullback(dy)

        y, gradient = jit(with_gradient)(x)
    np.testing.assert_allclose(y, response_loop(x, *options), rtol=1e-12)
    assert_gradient(np.asarray(gradient), lambda x: (response_loop(x, *options) * dy).sum(), (x,))


def test_local_response_norm_is_alexnets_unless_told():
    x = np.zeros((1, 9), np.float32)
    x[0, 4] = 100  # 2 + 1e-4 * 100^2 = 3
    x[0, [0, 1, 2, 6, 7, 8]] = 1
    y = np.asarray(jit(local_response_norm)(x))[0]
    np.testing.assert_allclose(y[4], 100 / 3.0002**0.75, rtol=1e-6)
    np.testing.assert_allclose(y[[2, 6]], (3 + 3e-4) ** -0.75, rtol=1e-6)
    np.testing.assert_allclose(y[[1, 7]], (2 + 3e-4) ** -0.75, rtol=1e-6)


def test_half_precision_comes_back_as_it_went_in():
    x = jax.random.normal(jax.random.key(0), (3, 8)).astype(jnp.bfloat16)
    y, wide = jit(lambda x: (local_response_norm(x), local_response_norm(x.astype(jnp.float32))))(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, wide.astype(jnp.bfloat16))  # rounded once


def test_refusal():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        jax.eval_shape(lambda x: local_response_norm(x, 0), jnp.zeros((1, 3)))
