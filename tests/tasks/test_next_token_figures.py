"""What a language model shows: units that follow the text, words that are attended to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.gru import GRU
from nets.recurrent_lm import RecurrentLM
from nets.tasks.next_token_figures import attended_words, cells_view, text_features


class Attends:
    """A model that attends to the symbol two before, of the three latest."""

    def apply(self, variables, *arguments, method):
        if method == "start":
            return (), ()
        _, carry, symbols = arguments
        return carry, None, jnp.tile(jnp.array([0.75, 0.25, 0.0]), (len(symbols), 1))


def test_sentences_are_drawn_word_by_word():
    vocabulary = ("<unk>", "<eos>", ".", "a", "b", "c", "d", "e")
    text = [3, 4, 2, 4, 4, 5, 5, 6, 7, 2, 0, 4, 5, 5, 6, 7, 2, 4, 4, 5, 5, 6, 7, 2, 7, 6, 5, 4, 3]
    batches = [{"inputs": np.array([text[:14]])}, {"inputs": np.array([text[14:]])}]
    found = attended_words(Attends(), {}, vocabulary, batches)
    (sentence,) = found["attention"].sentences  # without unknown words, not too short, and once
    assert sentence.words == ("b", "b", "c", "c", "d", "e", ".")
    expected = 0.75 * np.eye(7, k=-2) + 0.25 * np.eye(7, k=-1)
    np.testing.assert_allclose(sentence.weights, expected)
    short = [{"inputs": np.array([[2, 3, 4, 2]])}]
    assert attended_words(Attends(), {}, vocabulary, short) == {}


def test_features_of_a_text_by_hand():
    features = text_features("f(a, 'b')  # (C")
    assert list(features["inside quotes"]) == [0] * 5 + [1, 1, 1] + [0] * 7
    assert list(features["inside a comment"]) == [0] * 11 + [1] * 4
    assert list(np.flatnonzero(features["capital letter"])) == [14]
    inside = np.flatnonzero(features["inside brackets"])
    assert list(inside) == [1, 2, 3, 4, 5, 6, 7, 8, 13, 14]
    position = text_features("ab\ncd")["position in the line"]
    np.testing.assert_allclose(position, np.array([0, 1, 2, 0, 1]) / 80)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("I'm d'or 'x' it's", "         ___     "),
        ("“don't” y “a”", "_______   ___"),
        ("r'a' + rb'c' d's", " ___     ___    "),
        ("'don't' \"it's\"", "_______ ______"),
    ],
)
def test_an_apostrophe_within_a_word_is_no_quote(text, quoted):
    features = text_features(text)
    assert "".join(" _"[int(q)] for q in features["inside quotes"]) == quoted


def test_a_unit_of_a_gru_is_found():
    """Unit 2 of the second layer follows the capital letters.

    In the first, unit 3 follows the letter c, and unit 1 either: the second layer subtracts them.
    """
    vocabulary = "ABcd(e"
    model = RecurrentLM(len(vocabulary), GRU(4), embed=4, layers=2)
    ids = np.random.default_rng(0).integers(0, 6, (1, 90)).astype(np.int32)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), ids, train=False))["params"]
    params = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes)
    params["embedding"]["embedding"][:2, 0] = -1.0
    params["embedding"]["embedding"][2, 1] = -1.0
    candidates = {"layer_0": {(0, 1): 1, (1, 1): 1, (1, 3): 1}, "layer_1": {(1, 2): 1, (3, 2): -1}}
    for layer, kernel in candidates.items():
        weights = params["recurrent"][layer]
        weights["bias"][4:8] = -20.0  # z = 0: the unit takes the candidate
        for (source, target), weight in kernel.items():
            weights["kernel"][source, 8 + target] = weight
    view = cells_view(model, params, vocabulary, [{"inputs": ids}], 90, units_drawn=1)
    assert view.text == "".join(vocabulary[i] for i in ids[0])
    capital = [c.isupper() for c in view.text]
    unit = np.where(capital, np.tanh(np.tanh(1.0)), 0)  # shown with the sign that it has not
    np.testing.assert_allclose(view.signals, unit[None], atol=1e-5)
    assert view.captions[0].endswith("follows 'capital letter', correlation 1.00")


def test_the_unit_that_follows_a_property_is_found():
    class Planted:
        """A model of three units; the second follows the capital letters."""

        def initial_carry(self, shape):
            return ()

        def apply(self, variables, ids, carry, reset, *, train, stages):
            capital = (ids < 2).astype(jnp.float32)
            units = [jnp.sin(1.7 * ids + k) * 0.1 for k in range(2)]
            h = jnp.stack([units[0], -0.9 * capital, units[1]], -1)
            return None, carry, {"lstm_0": h}

    ids = np.random.default_rng(0).integers(0, 6, (1, 50)).astype(np.int32)
    batches = [{"inputs": np.roll(ids, i, 1)} for i in range(40)]
    view = cells_view(Planted(), {}, "ABcd(e", batches, length=120, units_drawn=1)
    assert view.captions == ("lstm_0, unit 1: follows 'capital letter', correlation 1.00",)
    assert view.signals.min() >= 0  # the unit itself is negative on capitals
    assert len(view.text) == 120 and view.signals.shape == (1, 120)
    padded = [batch | {"mask": np.full((1, 50), i == 0)} for i, batch in enumerate(batches)]
    view = cells_view(Planted(), {}, "ABcd(e", padded, length=120, units_drawn=1)
    assert len(view.text) == 50
