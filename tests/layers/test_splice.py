"""Splicing against a plain loop, and its transpose by the definition of one."""

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.splice import splice, unsplice


def test_splicing_is_that_of_a_loop():
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    spliced = np.asarray(splice(jnp.asarray(x), 2)).reshape(2, 5, 5, 3)
    for t, j in np.ndindex(5, 5):
        other = t + j - 2
        want = x[:, other] if 0 <= other < 5 else np.zeros((2, 3))
        np.testing.assert_array_equal(spliced[:, t, j], want)


def test_overlapping_estimates_are_averaged():
    """Over those that exist: frame 0 has three estimates where frame 2 has five."""
    y = np.random.default_rng(1).normal(size=(6, 5, 3)).astype(np.float32)
    found = unsplice(jnp.asarray(y.reshape(6, 15)), 2)
    for t in range(6):
        estimates = [y[s, t - s + 2] for s in range(6) if abs(t - s) <= 2]
        np.testing.assert_allclose(found[t], np.mean(estimates, 0), rtol=1e-5, atol=1e-6)


def test_the_sum_of_estimates_is_the_transpose():
    """<splice(x), y> = <x, transpose(y)>, and the number of estimates of each frame."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 9))
    _, transpose = jax.vjp(lambda x: splice(x, 1), jnp.asarray(x, jnp.float32))
    counts = np.array([2, 3, 3, 2])[:, None]
    (total,) = transpose(jnp.asarray(y, jnp.float32))
    found = unsplice(jnp.asarray(y, jnp.float32), 1) * counts
    np.testing.assert_allclose(found, total, rtol=1e-5, atol=1e-6)
