"""Losses, decoded sequences, their attention and BLEU, by hand; what is refused; figures."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.subwords import Subwords
from nets.elman import Elman
from nets.encoder_decoder import Seq2Seq
from nets.errors import UserError
from nets.layers.decoding import Decoded
from nets.tasks import translate_figures
from nets.tasks.metrics import add
from nets.tasks.task import Trained
from nets.tasks.translate import Translate, in_span
from nets.transformer import Transformer

KEY = jax.random.key(0)
MODEL = Seq2Seq(num_classes=3, vocab_size=2, cell=Elman(3))
TOKENIZERS = Subwords(("", "a", "▁b"), b""), Subwords(("", "▁one", "s", "▁two"), b"")


def always(shares):
    """Weights by which MODEL says the same of every step: symbols with these shares."""
    params = MODEL.init(KEY, jnp.ones((1, 2), int), jnp.ones((1, 2), int), train=False)["params"]
    params["output"] = {"kernel": jnp.zeros((3, len(shares))), "bias": jnp.log(jnp.array(shares))}
    return params


def test_translation_is_judged_by_what_it_writes_itself():
    """A network whose logits do not depend on what it reads: it writes 2 at every step."""
    targets = jnp.array([[2, 2, 0], [2, 2, 2], [1, 2, 2], [0, 0, 0]])
    mask = jnp.array([[1.0, 1, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]])
    batch = {"inputs": jnp.ones((4, 5), jnp.int32), "targets": targets, "mask": mask}
    params = always([0.2, 0.3, 0.5])
    _, metrics = Translate().test(MODEL, params, {}, batch, KEY, False)
    loss = -(7 * math.log(0.5) + math.log(0.3)) / 8
    shared = {"loss": loss, "perplexity": math.exp(loss)}
    assert Translate().finish(metrics, {}, None) == pytest.approx(
        shared | {"accuracy": 7 / 8, "exact_match": 2 / 3}
    )
    _, (_, metrics) = Translate().loss(MODEL, params, {}, batch, KEY, True)
    assert Translate().finish(metrics, {}, None) == pytest.approx(shared)


def test_smoothing_changes_what_is_minimised_and_not_what_is_reported():
    batch = {"inputs": jnp.ones((1, 2), int), "targets": jnp.array([[2]])}
    params, task = always([0.2, 0.3, 0.5]), Translate(smoothing=0.3)
    minimised, (_, metrics) = task.loss(MODEL, params, {}, batch, KEY, True)
    shares = 0.1 + 0.7 * np.array([0, 0, 1])
    assert float(minimised) == pytest.approx(-(shares * np.log([0.2, 0.3, 0.5])).sum())
    assert task.finish(metrics, {}, None)["loss"] == pytest.approx(-math.log(0.5))


def test_attention_inside_spans_by_hand():
    weights = jnp.array([[[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], [[1, 0, 0], [0, 1, 0]]])
    spans = jnp.array([[[0, 2], [2, 3]], [[0, 1], [0, 0]]])
    right = jnp.array([[True, True], [True, True]])
    found = in_span(weights, right, {"spans": spans, "mask": jnp.array([1.0, 1.0])})
    np.testing.assert_allclose(found, (0.8 + 0.7 + 1.0, 3))
    masked = {"spans": spans, "mask": jnp.array([1.0, 0.0])}  # the second row is padding
    np.testing.assert_allclose(in_span(weights, right, masked), (1.5, 2))
    mistaken = right.at[1, 0].set(False)
    np.testing.assert_allclose(in_span(weights, mistaken, {"spans": spans}), (1.5, 2))
    nothing = in_span(weights, jnp.zeros_like(right), {"spans": spans})
    assert "in_span" not in Translate().finish({"loss": (1.0, 1.0), "in_span": nothing}, {}, None)


def test_bleu_by_hand_is_that_of_the_real_rows():
    """Decoded is "one one one ..." of nine words for each; three of four references' words match
    at most, clipped: every precision and the brevity penalty are counted here."""
    params, task = always([0.2, 0.5, 0.3]), Translate()
    inputs, targets = np.ones((3, 2), np.int32), np.zeros((3, 9), np.int32)
    batch = {"inputs": inputs, "targets": targets, "mask": np.array([[1.0], [1.0], [0.0]])}
    known, batch = batch, batch | {"references": np.array([[1, 1, 1, 1, 3]] * 2 + [[3] * 5])}
    _, metrics = task.test(MODEL, params, {}, batch, KEY, True)
    bleu = task.finish(add({}, metrics), {}, TOKENIZERS[1])["bleu"]
    # nine words written, five to compare with: 4 of 9 words, 3 of 8 pairs, 2 of 7, 1 of 6
    expected = 100 * math.exp(sum(map(math.log, (4 / 9, 3 / 8, 2 / 7, 1 / 6))) / 4)
    assert bleu == pytest.approx(expected, rel=1e-6)
    for given, final in ((batch, False), (known, True)):
        assert "sentences" not in task.test(MODEL, params, {}, given, KEY, final)[1]


def test_the_search_is_that_of_the_evaluation_that_ends_a_run():
    """Ending at once (0.4) is likelier than "one" (0.2) and "one one" (0.1) with their ends."""
    params, task = always([0.4, 0.5, 0.1]), Translate(beam=2)
    targets, mask = np.array([[1, 1, 1], [0, 0, 0], [0, 0, 0]], np.int32), np.ones((3, 3))
    batch = {"inputs": np.ones((3, 2), np.int32), "targets": targets, "mask": mask}
    for final, share in ((False, 1 / 3), (True, 2 / 3)):
        _, metrics = task.test(MODEL, params, {}, batch, KEY, final)
        assert task.finish(metrics, {}, None)["exact_match"] == pytest.approx(share)


def test_a_sample_is_what_the_search_finds():
    given = Trained(MODEL, always([0.4, 0.5, 0.1]), {}, {}, *TOKENIZERS, KEY), [1, 1], 3, 0.8
    assert Translate().sample(*given) == " -> one one one"
    # to end at once (0.4) is likelier than "one" (0.2) and "one one" (0.1) with their ends
    assert Translate(beam=2).sample(*given) == " -> "
    assert Translate(beam=2, length_penalty=9.0).sample(*given) == " -> one one"
    with pytest.raises(UserError, match="top_k is for language models .* got 3"):
        Translate().sample(*given, 3)


def test_a_source_above_the_positions_is_refused():
    model, x = Transformer(3, 3, 4, 1, 1, context=4), np.ones((1, 2), np.int32)
    params = model.init(jax.random.key(0), x, x, train=False)["params"]
    given = Trained(model, params, {}, {}, *TOKENIZERS, KEY), [1] * 5, 3, 0.8
    message = "prompt cannot be translated: a sequence must have at most context=4 symbols, got 5"
    with pytest.raises(UserError, match=message):
        Translate().sample(*given)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beam": 0}, "beam must be at least 1, got 0"),
        ({"length_penalty": -0.5}, "length_penalty must be at least 0, got -0.5"),
        ({"coverage_penalty": float("nan")}, "coverage_penalty must be at least 0, got nan"),
        ({"smoothing": 1.0}, "smoothing must be at least 0 and below 1, got 1.0"),
    ],
)
def test_impossible_searches_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        Translate(**fields)


def test_a_beam_above_the_vocabulary_is_refused_before_anything_compiles():
    with pytest.raises(UserError, match="beam must be at most 3, the model.s symbols, got 4"):
        Translate(beam=4).init(MODEL, KEY, {})


def test_what_a_translation_shows_has_the_wrong_ones_first():
    rows = {"inputs": np.array([[1, 2, 0], [2, 2, 1]]), "targets": np.array([[1, 2], [3, 0]])}
    view = translate_figures.translations(rows, np.array([[1, 2], [1, 2]]), *TOKENIZERS)["decoded"]
    assert view.text == "b ba -> ones  (wrong; correct: two)\na b -> ones"
    assert view.title == "Decoded test sequences: 1 of 2 wrong"


def test_an_alignment_has_what_was_read_and_written_on_its_axes():
    rows = {"inputs": np.array([[1, 2, 0], [2, 2, 1]]), "targets": np.array([[3, 0], [1, 0]])}
    weights = np.arange(12).reshape(2, 2, 3) / 12
    written = Decoded(np.array([[1, 2], [1, 0]]), weights, np.zeros(2))
    first, second = translate_figures.alignments(rows, written, *TOKENIZERS)["alignment"].panels
    # the right one first; up to the end that was written, over the source's own places
    assert (first.rows, first.columns) == (("one", "end"), ("b", "b", "a"))
    np.testing.assert_array_equal(first.values, weights[1])
    assert (second.rows, second.columns) == (("one", "s"), ("a", "b"))
    np.testing.assert_array_equal(second.values, weights[0][:, :2])
    assert first.title == "b ba -> one" and first.fixed_range
    assert second.title == "a b -> ones  (wrong; correct: two)"
