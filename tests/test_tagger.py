"""The tagger: what a word's tag may depend on, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.lstm import LSTM
from nets.tagger import Tagger

RNG = np.random.default_rng(0)
WORDS, LETTERS = RNG.integers(1, 9, (2, 8)), RNG.integers(1, 7, (2, 8, 4))
SMALL = {
    "num_classes": 3, "vocab_size": 9, "num_characters": 7, "embedding": 5,
    "character_embedding": 3, "character_features": 4, "cell": LSTM(6),
}  # fmt: skip


def made(**fields):
    model = Tagger(**SMALL | fields)
    init = jax.jit(functools.partial(model.init, train=False))
    return model, init(jax.random.key(0), WORDS, LETTERS)


@pytest.mark.parametrize(
    ("fields", "before", "after"),
    [
        ({"lookahead": 0}, 7, 0),
        ({"lookahead": 1}, 7, 1),
        ({"lookahead": 1, "layers": 2}, 7, 2),
        ({}, 7, 7),
        ({"bidirectional": False}, 7, 0),
    ],
)
def test_a_tag_depends_on_the_words_that_it_may(fields, before, after):
    model, variables = made(**fields)
    apply = jax.jit(functools.partial(model.apply, variables, train=False))
    plain = apply(WORDS, LETTERS)
    for changed in range(8):
        words, letters = WORDS.copy(), LETTERS.copy()
        words[:, changed] = 1 + words[:, changed] % 8
        letters[:, changed, 0] = 1 + letters[:, changed, 0] % 6
        for arguments in ((words, LETTERS), (WORDS, letters)):
            other = apply(*arguments)
            depends = np.abs(other - plain).max((0, 2)) > 0
            expected = [changed - after <= t <= changed + before for t in range(8)]
            assert depends.tolist() == expected


@pytest.mark.parametrize("characters", ["lstm", "cnn"])
def test_padding_of_sentences_and_words_changes_nothing(characters):
    model, variables = made(characters=characters, lookahead=2)
    plain = model.apply(variables, WORDS, LETTERS, train=False)
    words = np.pad(WORDS, ((0, 0), (0, 3)))
    letters = np.pad(LETTERS, ((0, 0), (0, 3), (0, 2)))
    longer = model.apply(variables, words, letters, train=False)
    np.testing.assert_allclose(longer[:, :8], plain, atol=1e-6)


def test_without_characters_none_are_read():
    model, variables = made(characters="none")
    assert {*variables["params"]} == {"words", "recurrent", "output"}
    other = model.apply(variables, WORDS, LETTERS[..., ::-1], train=False)
    np.testing.assert_array_equal(other, model.apply(variables, WORDS, LETTERS, train=False))


def test_words_are_replaced_by_the_unknown_in_training_alone():
    model, variables = made(word_dropout=0.999, dropout=0.0, characters="none")
    key = {"dropout": jax.random.key(0)}
    unknown = model.apply(variables, np.ones_like(WORDS), LETTERS, train=False)
    trained = model.apply(variables, WORDS, LETTERS, train=True, rngs=key)
    np.testing.assert_allclose(trained, unknown, atol=1e-6)
    plain = model.apply(variables, WORDS, LETTERS, train=False)
    assert np.abs(plain - unknown).max() > 1e-3


@pytest.mark.parametrize(
    ("fields", "words", "letters", "message"),
    [
        ({"characters": "gru"}, WORDS, LETTERS, "characters must be one of lstm, cnn, none"),
        ({"embedding": 0}, WORDS, LETTERS, "embedding must be at least 1, got 0"),
        ({"word_dropout": 1.0}, WORDS, LETTERS, r"word_dropout must be in \[0, 1\), got 1.0"),
        ({"character_features": 5}, WORDS, LETTERS, "character_features must be even"),
        ({}, WORDS, LETTERS[:, 1:], r"characters \[B, T, C\], got \[2, 8\] and \[2, 7, 4\]"),
    ],
)
def test_what_is_refused(fields, words, letters, message):
    model = Tagger(**SMALL | fields)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            lambda: model.init(jax.random.key(0), jnp.asarray(words), letters, train=False)
        )
