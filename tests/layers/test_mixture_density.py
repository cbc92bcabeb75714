"""Mixture densities: likelihoods by scipy, gradients by finite differences, samples by moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import bernoulli, multivariate_normal

from nets.layers.mixture_density import (
    biased,
    log_density,
    log_likelihood,
    mixture,
    output_size,
    sample,
)


def outputs(shape=(3,), mixtures=4, pens=1, scale=1.0):
    size = output_size(mixtures, pens)
    return scale * np.random.default_rng(0).normal(size=(*shape, size)).astype(np.float32)


def plain(row, point, mixtures, pens):
    """The log-likelihood of one point, by scipy, in the order of the outputs."""
    row = row.astype(np.float64)
    pen, rest = row[:pens], row[pens:]
    weights, correlation = np.exp(rest[:mixtures]), np.tanh(rest[mixtures : 2 * mixtures])
    pairs = rest[2 * mixtures :].reshape(mixtures, 4)
    density = 0.0
    for weight, rho, (x, y, one, two) in zip(weights / weights.sum(), correlation, pairs):  # noqa: B905
        a, b = np.exp([one, two])
        covariance = [[a * a, rho * a * b], [rho * a * b, b * b]]
        density += weight * multivariate_normal([x, y], covariance).pdf(point[:2])
    bits = bernoulli(1 / (1 + np.exp(-pen))).logpmf(point[2:].astype(int))
    return np.log(density) + bits.sum()


@pytest.mark.parametrize("pens", [1, 2])
def test_the_likelihood_is_scipys(pens):
    rng = np.random.default_rng(1)
    rows = outputs((6,), pens=pens)
    points = np.hstack([rng.normal(size=(6, 2)), rng.integers(0, 2, (6, pens))]).astype(np.float32)
    expected = [plain(row, point, 4, pens) for row, point in zip(rows, points, strict=True)]
    values = log_likelihood(mixture(jnp.asarray(rows), pens), jnp.asarray(points))
    np.testing.assert_allclose(values, expected, rtol=2e-5)


def test_a_correlation_near_one_and_points_far_away_stay_finite():
    row = np.zeros((1, output_size(1)), np.float32)
    row[0, 2] = 12.0  # rho is 1 in float32
    value, slope = jax.value_and_grad(
        lambda r: log_density(mixture(r), jnp.array([[1e3, -1e3]])).sum()
    )(jnp.asarray(row))
    assert np.isfinite(value) and np.isfinite(slope).all()


def test_the_gradient_is_that_of_finite_differences():
    with jax.enable_x64(True):
        rows = jnp.asarray(outputs((1,), 3), jnp.float64)
        point = jnp.array([[0.3, -0.7, 1.0]])

        def loss(rows):
            return log_likelihood(mixture(rows), point).sum()

        slopes, step = jax.grad(loss)(rows)[0], 1e-6
        for i in range(rows.shape[1]):
            moved = [float(loss(rows.at[0, i].add(d))) for d in (step, -step)]
            assert float(slopes[i]) == pytest.approx(
                (moved[0] - moved[1]) / (2 * step), rel=1e-6, abs=1e-8
            )


def test_the_published_gradient_of_a_mean():
    """Graves 2013, equations 28 and 33: -dL/dmu_1 = gamma C / sigma_1 (d_1 - rho d_2)."""
    rows, point = jnp.asarray(outputs((1,), 3)), jnp.array([[0.5, 0.1, 0.0]])
    parameters = mixture(rows)
    slopes = jax.grad(lambda m: log_likelihood(parameters._replace(mean=m), point).sum())(
        parameters.mean
    )
    parameters = jax.tree.map(np.asarray, parameters)
    sigma, rho = np.exp(parameters.log_std[0]), np.tanh(parameters.correlation[0])
    d = (np.asarray(point)[0, :2] - parameters.mean[0]) / sigma  # [M, 2]
    z = (d**2).sum(1) - 2 * rho * d.prod(1)
    density = np.exp(-z / (2 * (1 - rho**2))) / (2 * np.pi * sigma.prod(1) * np.sqrt(1 - rho**2))
    gamma = np.exp(parameters.log_weights[0]) * density
    gamma = gamma / gamma.sum()
    expected = gamma / (1 - rho**2) / sigma[:, 0] * (d[:, 0] - rho * d[:, 1])
    np.testing.assert_allclose(slopes[0, :, 0], expected, rtol=1e-4)


def test_samples_have_the_moments_of_the_distribution():
    row = np.zeros(output_size(1), np.float32)
    row[:] = [0.5, 0.0, 0.8, 2.0, -1.0, np.log(0.5), np.log(2.0)]
    parameters = mixture(jnp.broadcast_to(jnp.asarray(row), (40_000, len(row))))
    drawn = np.asarray(sample(jax.random.key(0), parameters))
    rho = np.tanh(0.8)
    np.testing.assert_allclose(drawn[:, :2].mean(0), [2, -1], atol=0.03)
    expected = [[0.25, rho], [rho, 4]]
    np.testing.assert_allclose(np.cov(drawn[:, :2].T), expected, atol=0.06)
    assert drawn[:, 2].mean() == pytest.approx(1 / (1 + np.exp(-0.5)), abs=0.01)


def test_components_are_drawn_by_their_weights():
    row = np.zeros(output_size(2), np.float32)
    row[1:3] = np.log([0.2, 0.8])
    row[5:] = [-50, 0, -3, -3, 50, 0, -3, -3]
    parameters = mixture(jnp.broadcast_to(jnp.asarray(row), (5000, len(row))))
    drawn = sample(jax.random.key(1), parameters)
    assert float((drawn[:, 0] > 0).mean()) == pytest.approx(0.8, abs=0.02)


def test_a_bias_is_that_of_equations_61_and_62():
    rows = outputs((2,), 3)
    narrow = biased(mixture(jnp.asarray(rows)), jnp.array([0.0, 1.5]))
    plain_ = mixture(jnp.asarray(rows))
    np.testing.assert_allclose(narrow.log_weights[0], plain_.log_weights[0], atol=1e-6)
    raw = rows[1, 1:4]  # pi'
    expected = np.exp(raw * 2.5) / np.exp(raw * 2.5).sum()
    np.testing.assert_allclose(np.exp(narrow.log_weights[1]), expected, rtol=1e-5)
    np.testing.assert_allclose(narrow.log_std[1], plain_.log_std[1] - 1.5, rtol=1e-6)


def test_outputs_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"outputs must be \[..., 6 M \+ 1\] .* got \[2, 12\]"):
        mixture(jnp.zeros((2, 12)))
