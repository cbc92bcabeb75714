"""The sentence classifier: its four poolings against loops, its padding, what is refused."""

import functools

import jax
import numpy as np
import pytest

from nets.gru import GRU
from nets.lstm import LSTM
from nets.sentence_classifier import SentenceClassifier

RNG = np.random.default_rng(0)
LENGTHS = (7, 3, 1)
WORDS = np.array([[*RNG.integers(1, 9, n), *[0] * (7 - n)] for n in LENGTHS])
SMALL = {"num_classes": 3, "vocab_size": 9, "embedding": 5, "cell": GRU(4)}


def made(**fields):
    model = SentenceClassifier(**SMALL | fields)
    return model, jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), WORDS)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_pooling_by_hand(pooling, bidirectional):
    model, variables = made(pooling=pooling, bidirectional=bidirectional)
    logits, stages = model.apply(variables, WORDS, train=False, stages=True)
    params = jax.tree.map(np.asarray, variables["params"])
    for row, length in enumerate(LENGTHS):
        h = np.asarray(stages["layer_0"][row, :length])
        assert not np.asarray(stages["layer_0"][row, length:]).any()
        if pooling == "last":
            pooled = np.concatenate([h[-1, :4], h[0, 4:]])
        elif pooling == "mean":
            pooled = h.mean(0)
        elif pooling == "max":
            pooled, counts = h.max(0), np.bincount(h.argmax(0), minlength=7)
            np.testing.assert_allclose(stages["weights"][row], counts / h.shape[1], atol=1e-6)
        else:
            hidden, query = params["attention"]["hidden"], params["attention"]["query"]
            scores = np.tanh(h @ hidden["kernel"] + hidden["bias"]) @ query["kernel"][:, 0]
            weights = np.exp(scores) / np.exp(scores).sum()
            pooled = weights @ h
            expected = [*weights, *[0] * (7 - length)]
            np.testing.assert_allclose(stages["weights"][row], expected, atol=1e-6)
        expected = pooled @ params["output"]["kernel"] + params["output"]["bias"]
        np.testing.assert_allclose(logits[row], expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_padding_changes_nothing_and_a_sentence_without_words_is_finite(pooling):
    model, variables = made(pooling=pooling, cell=LSTM(4))
    plain = model.apply(variables, WORDS, train=False)
    longer = np.pad(WORDS, ((0, 1), (0, 4)))
    found = model.apply(variables, longer, train=False)
    np.testing.assert_allclose(found[:3], plain, atol=1e-6)

    def loss(params):
        return model.apply(params, longer, train=False).sum()

    gradient = jax.jit(jax.grad(loss))(variables)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
    assert np.isfinite(found[3]).all()


def test_dropout_acts_in_training_alone():
    model, variables = made(word_dropout=0.3)
    runs = [
        model.apply(variables, WORDS, train=train, rngs={"dropout": jax.random.key(seed)})
        for train, seed in ((True, 0), (True, 1), (False, 0), (False, 1))
    ]
    np.testing.assert_array_equal(runs[2], runs[3])
    assert np.abs(runs[0] - runs[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("fields", "words", "message"),
    [
        ({"pooling": "sum"}, WORDS, "pooling must be one of last, mean, max, attention, got 'sum'"),
        ({"word_dropout": 1.5}, WORDS, r"word_dropout must be in \[0, 1\), got 1.5"),
        ({"embedding": 0}, WORDS, "embedding must be at least 1, got 0"),
        ({}, WORDS[0], r"inputs must be \[B, T\], got shape \[7\]"),
    ],
)
def test_what_is_refused(fields, words, message):
    model = SentenceClassifier(**SMALL | fields)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.init(jax.random.key(0), words, train=False))
