"""Losses by hand and against torch; the gradient estimator of REINFORCE on a case by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.attention import coverage
from nets.layers.attention_hard import sample_key
from nets.tasks import losses
from nets.tasks.losses import (
    baseline_loss,
    coverage_loss,
    doubly_stochastic_loss,
    moving_baseline,
    reinforce_loss,
)
from tests.support.checks import jit


def test_cross_entropy_is_torchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 4)).astype(np.float32), rng.integers(0, 4, 5)
    for smoothing in (0.0, 0.1):
        want = torch.nn.functional.cross_entropy(
            torch.tensor(logits), torch.tensor(labels), reduction="none", label_smoothing=smoothing
        )
        found = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(labels), smoothing)
        np.testing.assert_allclose(found, want.numpy(), rtol=1e-5)


def test_cross_entropy_by_hand():
    logits = jnp.array([[0.0, math.log(3.0)]])  # probabilities 1/4 and 3/4
    hand = {0.0: -math.log(0.25), 0.2: -0.9 * math.log(0.25) - 0.1 * math.log(0.75)}
    for smoothing, want in hand.items():
        found = losses.cross_entropy(logits, jnp.array([0]), smoothing)
        np.testing.assert_allclose(found, [want], rtol=1e-6)


def test_squared_error_by_hand():
    found = losses.squared_error(jnp.array([[0.5, -1.0, 1.0]]), jnp.array([0]))
    np.testing.assert_allclose(found, [0.5 * (0.25 + 0.0 + 4.0) / 3], rtol=1e-6)


def test_map_criterion_is_equation_9():
    y, label, j = [2.0, 0.5, 7.0], 1, 1.5
    want = y[label] + math.log(math.exp(-j) + sum(math.exp(-v) for v in y))
    found = losses.map_criterion(jnp.array([y]), jnp.array([label]), j)
    np.testing.assert_allclose(found, [want], rtol=1e-6)
    slope = jax.grad(lambda d: losses.map_criterion(d, jnp.array([label]), j)[0])(jnp.array([y]))
    assert slope[0, 1] > 0 > slope[0, 0]  # pulls the right centre near, pushes the others off
    assert abs(slope[0, 2]) < 0.01  # and leaves alone what is far beyond j


def test_coverage_loss_by_hand():
    """A second look at one position is all lost, one at another position costs nothing."""
    looks = jnp.eye(3)[jnp.array([[0, 0, 1]])]
    np.testing.assert_array_equal(coverage_loss(looks, coverage(looks)), [[0, 1, 0]])
    weights, previous = jnp.array([[0.2, 0.8]]), jnp.array([[0.5, 0.3]])
    np.testing.assert_allclose(coverage_loss(weights, previous), [0.2 + 0.3], rtol=1e-6)


def test_doubly_stochastic_loss_of_hand_worked_weights():
    weights = jnp.array([[[0.5, 0.5, 0.0], [0.25, 0.75, 0.0], [1.0, 0.0, 0.0]]])
    steps = jnp.array([[True, True, False]])  # sums 0.75, 1.25, 0
    loss = functools.partial(doubly_stochastic_loss, weights)
    np.testing.assert_allclose(loss(steps), [0.0625 + 0.0625 + 1])
    np.testing.assert_allclose(loss(steps, jnp.array([[True, True, False]])), [0.125])
    np.testing.assert_allclose(loss(jnp.ones((1, 3), bool)), [0.5625 + 0.0625 + 1])


def test_steps_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 3, 4\], got steps \[2, 4\] and mask None"):
        doubly_stochastic_loss(jnp.ones((2, 3, 4)), jnp.ones((2, 4), bool))


SCORES = np.log(np.float32([[0.5, 0.3, 0.2]]))  # the softmax of these are the numbers themselves
REWARDS = np.float32([1.0, 2.0, 4.0])  # of each key; the mean is 0.5 + 0.6 + 0.8 = 1.9
SLOPES = np.float32([0.5 * (1 - 1.9), 0.3 * (2 - 1.9), 0.2 * (4 - 1.9)])  # p_k (R_k - mean)
DRAWS = 20_000


def gradients(loss, seed=0):
    """d loss / d scores, [DRAWS, K], each of one draw."""
    keys = jax.random.split(jax.random.key(seed), DRAWS)
    return np.asarray(jit(jax.vmap(lambda key: jax.grad(loss)(SCORES[0], key)))(keys), float)


def loss(baseline, entropy_weight=0.0, reward_weight=1.0):
    def of(scores, key):
        sample = sample_key(key, scores[None])
        reward = sample.weights @ REWARDS
        weights = {"reward_weight": reward_weight, "entropy_weight": entropy_weight}
        return reinforce_loss(reward, *sample[1:], jnp.asarray(baseline), **weights)[0]

    return of


def assert_mean(estimates, want):
    error = estimates.std(0) / np.sqrt(DRAWS)
    assert (np.abs(estimates.mean(0) - want) < 4 * error + 1e-6).all()


def test_the_mean_gradient_is_that_of_the_expected_reward():
    """And the baseline leaves it, and makes its variance less."""
    plain, helped = gradients(loss(0.0)), gradients(loss(1.9))
    assert_mean(plain, -SLOPES)
    assert_mean(helped, -SLOPES)
    assert (helped.var(0) < 0.5 * plain.var(0)).all()
    # one draw by hand: (R - b) times d log p_k / d scores, one_hot - p
    draws = [(REWARDS[k] - 1.9) * (np.eye(3)[k] - np.exp(SCORES[0])) for k in range(3)]
    variance = sum(p * (d + -SLOPES) ** 2 for p, d in zip(np.exp(SCORES[0]), draws, strict=True))
    np.testing.assert_allclose(helped.var(0), variance, rtol=0.1)


def test_a_reward_that_depends_on_the_weights_counts_as_well():
    """E = sum_k p_k theta_k: d E / d theta_k = p_k, the first term of the paper's sum."""

    def of(theta, key):
        sample = sample_key(key, SCORES)
        weights = {"reward_weight": 1.0, "entropy_weight": 0.0}
        return reinforce_loss(sample.weights @ theta, *sample[1:], jnp.zeros(()), **weights)[0]

    keys = jax.random.split(jax.random.key(0), DRAWS)
    estimates = np.asarray(jit(jax.vmap(lambda key: jax.grad(of)(REWARDS, key)))(keys), float)
    assert_mean(estimates, -np.exp(SCORES[0]))


def test_the_weights_of_the_terms():
    """The entropy's gradient, -p_k (log p_k + H), is added; lambda_r scales the rest."""
    p = np.exp(SCORES[0])
    entropy = -(p * np.log(p)).sum()
    slopes = gradients(loss(1.9, entropy_weight=3.0, reward_weight=0.5))
    assert_mean(slopes, -(0.5 * SLOPES - 3 * p * (np.log(p) + entropy)))


def test_baselines():
    reward = jnp.array([1.0, 2.0, 6.0])
    np.testing.assert_allclose(moving_baseline(jnp.array(10.0), reward, 0.9), 9.3, rtol=1e-6)
    guess = jnp.array([1.0, 0.0, 5.0])
    np.testing.assert_allclose(baseline_loss(guess, reward), [0, 4, 1])
    by_guess, by_reward = jax.grad(lambda *a: baseline_loss(*a).sum(), (0, 1))(guess, reward)
    np.testing.assert_allclose(by_guess, [0, -4, -2])
    assert not by_reward.any()
    weights = {"reward_weight": 1.0, "entropy_weight": 1.0}

    def of(b):
        return reinforce_loss(reward, reward, reward, b, **weights).sum()

    assert not jax.grad(of)(guess).any()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\), \(2,\), \(3,\)"):
        reinforce_loss(*map(jnp.zeros, (3, 2, 3, 3)), reward_weight=1.0, entropy_weight=0.0)
    with pytest.raises(ValueError, match=r"baseline must be a scalar .* got \(2,\)"):
        reinforce_loss(*map(jnp.zeros, (3, 3, 3, 2)), reward_weight=1.0, entropy_weight=0.0)
