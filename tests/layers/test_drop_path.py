import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.drop_path import DropPath, drop_rows, linear_rates
from tests.support.checks import jit


def apply(rate, x, key=None, train=True):
    rngs = {} if key is None else {"dropout": jax.random.key(key)}
    return DropPath(rate).apply({}, x, train=train, rngs=rngs)


def test_rows_are_kept_whole_or_dropped():
    x = jax.random.normal(jax.random.key(0), (4000, 2, 3)) + 5

    def with_gradient(x):
        y, pullback = jax.vjp(lambda x: apply(0.2, x, 1), x)
        return y, *pullback(jnp.ones_like(y)), apply(0.2, x, 2)

    y, dx, other = jit(with_gradient)(x)
    mask = np.asarray(y[:, 0, 0] != 0)
    np.testing.assert_allclose(y[mask], x[mask] / 0.8, rtol=1e-6)
    np.testing.assert_allclose(dx[mask], 1.25, rtol=1e-6)
    assert not np.any(y[~mask]) and not np.any(dx[~mask])
    assert abs(mask.mean() - 0.8) < 4 * np.sqrt(0.16 / 4000)
    np.testing.assert_allclose(y.mean(), x.mean(), rtol=0.05)
    both = (mask & np.asarray(other[:, 0, 0] != 0)).mean()
    assert abs(both - 0.64) < 0.04  # the keys' draws do not depend on each other


def test_a_rate_may_be_computed():
    """As in a schedule: another rate, another share of the rows, in the type of x."""
    rows = 4000
    drop = jit(lambda rate: drop_rows(jax.random.key(1), jnp.ones((rows, 2), jnp.bfloat16), rate))
    for rate in (0.0, 0.25, 0.75):
        y = drop(jnp.float32(rate))
        assert y.dtype == jnp.bfloat16
        mask = np.asarray(y, np.float32) != 0
        np.testing.assert_array_equal(mask[:, 0], mask[:, 1])
        np.testing.assert_allclose(np.float32(y)[mask], 1 / (1 - rate), rtol=2**-8)
        assert abs(mask.mean() - (1 - rate)) <= 4 * np.sqrt(rate * (1 - rate) / rows)


def test_outside_training_it_is_the_identity():
    x = jnp.ones((8, 3))
    assert apply(0.9, x, train=False) is x
    assert apply(0.0, x) is x


def test_training_needs_a_key():
    with pytest.raises(flax.errors.InvalidRngError):
        jax.eval_shape(lambda: apply(0.5, jnp.ones((2, 2))))


def test_types():
    y = jax.eval_shape(lambda: apply(0.5, jnp.ones((2, 2), jnp.bfloat16), 0))
    assert y.dtype == jnp.bfloat16


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_refusals(rate):
    for train in (True, False):
        with pytest.raises(ValueError, match=rf"DropPath.rate must be in \[0, 1\), got {rate}"):
            jax.eval_shape(lambda t=train: apply(rate, jnp.ones((2, 2)), 0, t))


def test_linear_rates():
    np.testing.assert_allclose(linear_rates(0.2, 5), [0, 0.05, 0.1, 0.15, 0.2], rtol=1e-12)
    assert linear_rates(0.3, 2) == (0.0, 0.3)
    assert linear_rates(0.3, 1) == (0.0,)
    assert linear_rates(0.0, 3) == (0.0,) * 3
