"""Replacement of words by the unknown one while training."""

import jax
import jax.numpy as jnp

UNKNOWN = 1  # the symbol of words that a vocabulary lacks; 0 is padding


def word_dropout(key: jax.Array, words: jax.Array, probability: float) -> jax.Array:
    """Words (int), each replaced by the unknown with this probability; padding (0) stays.

    So a model learns what to do with words that it does not know (Iyyer et al. 2015, section 3.2,
    leave them out instead).

    >>> word_dropout(jax.random.key(0), jnp.array([5, 6, 0]), 0.999).tolist()
    [1, 1, 0]
    """
    replaced = jax.random.bernoulli(key, probability, words.shape) & (words > 0)
    return jnp.where(replaced, UNKNOWN, words)
