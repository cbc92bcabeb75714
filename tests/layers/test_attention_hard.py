"""Hard attention: frequencies of samples."""

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.attention_hard import sample_key
from tests.support.checks import jit

SCORES = np.log(np.float32([[0.5, 0.3, 0.2]]))  # the softmax of these are the numbers themselves
DRAWS = 20_000


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


def test_rows_of_no_key_have_no_gradient():
    def of(scores):
        sample = sample_key(jax.random.key(0), scores, jnp.zeros((1, 3), bool))
        return (sample.log_probability + sample.entropy + sample.weights.sum(-1)).sum()

    assert not jit(jax.grad(of))(SCORES).any()
