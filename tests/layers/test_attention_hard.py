"""Hard attention: frequencies of samples, and the gradient estimator on a case by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.attention_hard import (
    baseline_loss,
    moving_baseline,
    reinforce_loss,
    sample_key,
)
from tests.support.checks import jit

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


def test_draws_are_as_often_as_their_weights_and_told_of():
    mask = jnp.array([[True, True, True], [True, False, True], [False, False, False]])
    keys = jax.random.split(jax.random.key(0), DRAWS)
    draw = jax.jit(jax.vmap(lambda key: sample_key(key, jnp.tile(SCORES, (3, 1)), mask)))
    weights, logs, entropy = (np.asarray(a, float) for a in draw(keys))
    p = np.array([[0.5, 0.3, 0.2], [5 / 7, 0, 2 / 7], [0, 0, 0]])
    assert set(np.unique(weights)) == {0.0, 1.0}
    np.testing.assert_array_equal(weights.sum(-1), [[1, 1, 0]] * DRAWS)
    assert (np.abs(weights.mean(0) - p) <= 4 * np.sqrt(p * (1 - p) / DRAWS)).all()
    np.testing.assert_allclose(np.exp(logs[:, :2]), (weights * p).sum(-1)[:, :2], rtol=1e-5)
    want = [-(0.5 * np.log(0.5) + 0.3 * np.log(0.3) + 0.2 * np.log(0.2))]
    want += [-(5 / 7 * np.log(5 / 7) + 2 / 7 * np.log(2 / 7)), 0]
    np.testing.assert_allclose(entropy, [want] * DRAWS, rtol=1e-5)
    assert not logs[:, 2].any()


def test_queries_of_a_row_draw_for_themselves():
    sample = jit(sample_key)(jax.random.key(0), jnp.zeros((2, 50, 4)), jnp.ones((2, 4), bool))
    assert sample.weights.shape == (2, 50, 4) and sample.entropy.shape == (2, 50)
    assert len(set(np.argmax(sample.weights, -1).ravel().tolist())) == 4


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


def test_rows_of_no_key_have_no_gradient():
    def of(scores):
        sample = sample_key(jax.random.key(0), scores, jnp.zeros((1, 3), bool))
        return (sample.log_probability + sample.entropy + sample.weights.sum(-1)).sum()

    assert not jit(jax.grad(of))(SCORES).any()


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
