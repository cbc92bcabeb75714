"""Initialisers by name: variances from the papers' formulae."""

import jax
import numpy as np
import pytest

from nets.layers.initialisers import initialiser

N, M = 5 * 5 * 12, 5 * 5 * 40  # inputs and outputs of a unit of the kernel below
VARIANCES = {
    "zeros": 0,
    "small": 1e-4,
    "xavier_uniform": 2 / (N + M),
    "xavier_normal": 2 / (N + M),
    "he_uniform": 2 / N,
    "he_normal": 2 / N,
    "lecun_normal": 1 / N,
    "orthogonal": 1 / N,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_variance(name):
    kernel = initialiser(name)(jax.random.key(0), (5, 5, 12, 40), np.float32)
    np.testing.assert_allclose(kernel.var(), VARIANCES[name], rtol=0.04)
    assert abs(kernel.mean()) <= 4 * np.sqrt(VARIANCES[name] / kernel.size)


@pytest.mark.parametrize("name", ["xavier_uniform", "he_uniform"])
def test_a_uniform_one_has_the_limit_of_its_variance(name):
    kernel = np.asarray(initialiser(name)(jax.random.key(0), (5, 5, 12, 40), np.float32))
    limit = np.sqrt(3 * VARIANCES[name])
    assert 0.999 * limit < abs(kernel).max() <= limit * (1 + 1e-6)


def test_orthogonal_columns_are_orthonormal():
    kernel = np.asarray(initialiser("orthogonal")(jax.random.key(0), (5, 5, 12, 40), np.float32))
    matrix = kernel.reshape(N, 40)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(40), atol=1e-5)


def test_none_is_the_default_given():
    default = initialiser("small")
    assert initialiser(None, default) is default


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"kernel_init must be one of zeros, small, .*'glorot'"):
        initialiser("glorot")
