"""Pooling of words: by hand, and of a sentence without any."""

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.word_dropout import word_dropout
from nets.layers.word_pooling import AttentionPool, max_over_time, mean_pool

H = jnp.array([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]], [[5.0, 5.0], [5.0, 5.0], [5.0, 5.0]]])
MASK = jnp.array([[True, True, False], [False, False, False]])


def test_mean_and_maximum_by_hand():
    np.testing.assert_array_equal(mean_pool(H, MASK), [[2, -3], [0, 0]])
    pooled, shares = max_over_time(H, MASK)
    np.testing.assert_array_equal(pooled, [[3, -2], [0, 0]])
    np.testing.assert_array_equal(shares, [[0, 1, 0], [0, 0, 0]])


def test_the_maximum_below_zero_is_not_the_paddings():
    pooled, _ = max_over_time(-jnp.ones((1, 3, 2)), MASK[:1])
    np.testing.assert_array_equal(pooled, [[-1, -1]])


def test_attention_of_equal_scores_is_the_mean():
    pool = AttentionPool(4)
    variables = pool.init(jax.random.key(0), H, MASK)
    variables = jax.tree.map(jnp.zeros_like, variables)
    pooled, weights = pool.apply(variables, H, MASK)
    np.testing.assert_allclose(pooled, [[2, -3], [0, 0]])
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0], [0, 0, 0]])


def test_words_are_dropped_as_often_as_stated_and_padding_never():
    words = jnp.pad(jnp.full((100, 100), 7), ((0, 0), (0, 50)))
    dropped = np.asarray(word_dropout(jax.random.key(0), words, 0.3))
    assert {*np.unique(dropped[:, :100])} == {1, 7} and not dropped[:, 100:].any()
    assert abs((dropped[:, :100] == 1).mean() - 0.3) < 5 * (0.21 / 10_000) ** 0.5
