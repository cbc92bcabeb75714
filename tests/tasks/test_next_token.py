"""The language model's task: what the carry does, what the metrics mean, what cells are shown."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from launch import main
from nets.data.text import _corpus
from nets.data.tokenizers import Words
from nets.errors import UserError
from nets.gru import GRU
from nets.recurrent_lm import RecurrentLM
from nets.tasks import next_token_figures
from nets.tasks.next_token import NextToken
from nets.tasks.task import Trained
from nets.train.experiment import make_trained
from nets.transformer import TransformerLM
from tests.support import toys


@pytest.fixture(scope="module")
def trained():
    experiment = toys.language_model()
    batch = toys.batch(experiment)
    params, state = experiment.task.init(experiment.model, jax.random.key(0), batch)
    return experiment, params, state, batch


def test_finish_by_hand():
    finished = NextToken().finish(
        {"loss": (6 * math.log(8), 6.0), "accuracy": (3.0, 6.0)}, {}, None
    )
    assert finished["bits_per_symbol"] == pytest.approx(3)
    assert finished["perplexity"] == pytest.approx(8) and finished["accuracy"] == 0.5


def test_the_carry_goes_on_unless_reset_and_no_gradient_follows_it(trained):
    experiment, params, state, batch = trained
    task, model, key = experiment.task, experiment.model, jax.random.key(0)
    half = batch["inputs"].shape[1] // 2

    @functools.partial(jax.jit, static_argnums=1)
    def loss(state, columns, reset):
        part = {k: v[:, slice(*columns)] for k, v in batch.items() if k != "reset"}
        part["reset"] = jnp.full(len(batch["inputs"]), reset)
        return task.loss(model, params, state, part, key, train=False)

    whole, _ = loss(state, (0, None), True)
    first, (after, _) = loss(state, (0, half), True)
    second, _ = loss(after, (half, None), False)
    np.testing.assert_allclose((first + second) / 2, whole, rtol=1e-5)
    forgetful, _ = loss(after, (half, None), True)
    fresh, _ = loss(state, (half, None), False)
    np.testing.assert_allclose(forgetful, fresh, rtol=1e-6)
    assert abs(forgetful - second) > 1e-4

    def by_carry(carry):
        return loss({"carry": after["carry"]._replace(carry=carry)}, (half, None), False)[0]

    assert not any(np.any(g) for g in jax.tree.leaves(jax.grad(by_carry)(after["carry"].carry)))


@pytest.mark.parametrize("k2", [None, 4, 6, 8])
def test_k2_is_how_far_gradients_pass(trained, k2):
    """Against one long run whose carry is cut k2 steps before the end of each segment of 4."""
    experiment, params, _, batch = trained
    model, key, k1 = experiment.model, jax.random.key(0), 4
    task = dataclasses.replace(experiment.task, k2=k2)
    segments = [
        {k: v if k == "reset" else v[:, i : i + k1] for k, v in batch.items()}
        for i in (0, k1, 2 * k1)
    ]
    _, state = task.init(model, key, segments[0])

    def by_task(params):
        losses, carried = [], state
        for i, segment in enumerate(segments):
            segment = segment | {"reset": jnp.full(len(batch["inputs"]), i == 0)}
            value, (carried, _) = task.loss(model, params, carried, segment, key, train=False)
            losses.append(value)
        return jnp.stack(losses)

    def by_hand(params):
        losses = []
        for end in (k1, 2 * k1, 3 * k1):
            cut, carry = max(end - (k2 or k1), 0), None
            if cut:
                _, carry = model.apply({"params": params}, batch["inputs"][:, :cut], train=False)
                carry = jax.lax.stop_gradient(carry)
            given = batch["inputs"][:, cut:end]
            logits, _ = model.apply({"params": params}, given, carry, train=False)
            targets = batch["targets"][:, end - k1 : end]
            each = optax.softmax_cross_entropy_with_integer_labels(logits[:, -k1:], targets)
            losses.append(each.mean())
        return jnp.stack(losses)

    @jax.jit
    def both(params):
        return [(jax.jacrev(f)(params), f(params)) for f in (by_task, by_hand)]

    (found, losses), (expected, wanted) = both(params)
    np.testing.assert_allclose(losses, wanted, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_k2_less_than_a_segment_is_refused(trained):
    experiment, _, _, batch = trained
    with pytest.raises(UserError, match="k2 must be at least a segment, .* got 3"):
        NextToken(k2=3).init(experiment.model, jax.random.key(0), batch)


def test_masked_targets_count_for_nothing(trained):
    experiment, params, state, batch = trained
    mask = jnp.zeros(batch["targets"].shape).at[:, :3].set(1.0)
    wrong = batch["targets"].at[:, 3:].set(0)
    key = jax.random.key(0)
    losses = [
        experiment.task.loss(
            experiment.model, params, state, batch | {"mask": mask, "targets": t}, key, train=False
        )[0]
        for t in (batch["targets"], wrong)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("top_k", [0, -1, 7])
def test_top_k_is_from_1_to_the_vocabularys_size(trained, top_k):
    experiment, params, _, _ = trained
    metadata = experiment.data.metadata()
    given = make_trained(experiment, params, {}, metadata, jax.random.key(0)), [0], 2, 1.0
    assert len(NextToken().sample(*given, top_k=6)) == 2
    with pytest.raises(UserError, match=f"top_k must be from 1 to 6, .* got {top_k}"):
        NextToken().sample(*given, top_k=top_k)


def test_words_are_sampled_after_their_prompt_and_have_no_cells(trained):
    experiment, params, state, batch = trained
    words = Words(("<unk>", "<eos>", "the", "cat", "sat", "."))
    given = Trained(experiment.model, params, state, {}, words, words, jax.random.key(0))
    found = NextToken(sample_length=30).figures(given, [batch], {}, True)
    assert list(found) == ["sample"]
    assert set(found["sample"].text.split()) <= set(words.vocabulary)
    after = {prompt: NextToken().sample(given, [prompt], 1, 0) for prompt in range(6)}
    assert after[1][0] not in " \n" and after[2].startswith((" ", "\n"))


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
    found = next_token_figures.attended_words(Attends(), {}, vocabulary, batches)
    (sentence,) = found["attention"].sentences  # without unknown words, not too short, and once
    assert sentence.words == ("b", "b", "c", "c", "d", "e", ".")
    expected = 0.75 * np.eye(7, k=-2) + 0.25 * np.eye(7, k=-1)
    np.testing.assert_allclose(sentence.weights, expected)
    short = [{"inputs": np.array([[2, 3, 4, 2]])}]
    assert next_token_figures.attended_words(Attends(), {}, vocabulary, short) == {}


@pytest.mark.parametrize("k2", [None, 12])
def test_a_model_without_a_carry_is_trained_by_the_same_task(trained, k2):
    experiment, _, _, batch = trained
    model = TransformerLM(6, 8, 2, 1, context=12)
    task, key = NextToken(k2), jax.random.key(0)
    params, state = task.init(model, key, batch)
    assert not jax.tree.leaves(state)
    loss, (after, _) = jax.jit(
        lambda params: task.loss(model, params, state, batch, key, train=True)
    )(params)
    logits, _ = model.apply({"params": params}, batch["inputs"], train=False)
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, batch["targets"]).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5) and not jax.tree.leaves(after)


def test_features_of_a_text_by_hand():
    features = next_token_figures.text_features("f(a, 'b')  # (C")
    assert list(features["inside quotes"]) == [0] * 5 + [1, 1, 1] + [0] * 7
    assert list(features["inside a comment"]) == [0] * 11 + [1] * 4
    assert list(np.flatnonzero(features["capital letter"])) == [14]
    inside = np.flatnonzero(features["inside brackets"])
    assert list(inside) == [1, 2, 3, 4, 5, 6, 7, 8, 13, 14]
    position = next_token_figures.text_features("ab\ncd")["position in the line"]
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
    features = next_token_figures.text_features(text)
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
    view = next_token_figures.cells_view(
        model, params, vocabulary, [{"inputs": ids}], 90, units_drawn=1
    )
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
    view = next_token_figures.cells_view(
        Planted(), {}, "ABcd(e", batches, length=120, units_drawn=1
    )
    assert view.captions == ("lstm_0, unit 1: follows 'capital letter', correlation 1.00",)
    assert view.signals.min() >= 0  # the unit itself is negative on capitals
    assert len(view.text) == 120 and view.signals.shape == (1, 120)
    padded = [batch | {"mask": np.full((1, 50), i == 0)} for i, batch in enumerate(batches)]
    view = next_token_figures.cells_view(Planted(), {}, "ABcd(e", padded, length=120, units_drawn=1)
    assert len(view.text) == 50


def test_a_run_of_words_from_the_command_line(tmp_path, capsys):
    """Trains, samples, and refuses another text, both to go on with and to be evaluated on."""
    text, other, run = tmp_path / "text.txt", tmp_path / "other.txt", tmp_path / "run"
    text.write_text("The cat sat on the mat.\n" * 50)
    other.write_text("A dog lay on the rug.\n" * 50)

    def launch(verb, *arguments):
        _corpus.cache_clear()  # as in a process of its own
        return main(["launch.py", verb, *arguments, f"--workdir={run}"]), capsys.readouterr()

    train = (
        "--experiment=word_lstm", f"--data.path={text}", "--model.cell.features=8", "--steps=2",
        "--model.embed=8", "--data.batch_size=2", "--data.length=4", "--data.eval_batch_size=2",
        "--task.sample_length=3", "--model.layers=1", "--optimizer.warmup=1",
    )  # fmt: skip
    assert launch("train", *train)[0] == 0
    sample = ("sample", "--prompt=the cat", "--length=4", "--top_k=1")
    code, first = launch(*sample)
    assert code == 0 and first.out.startswith("the cat")
    assert launch(*sample)[1].out == first.out
    for given, message in (
        (("sample", "--prompt=the cow"), "has 'cow'"),
        (("sample", "--prompt="), "--prompt must have symbols, got ''"),
        (("sample", "--prompt=the", "--top_k=99"), "top_k must be from 1"),
        (("eval", f"--data.path={other}"), "the data's vocabulary"),
        (("train", *train, f"--data.path={other}"), "differs in: data.path"),
    ):
        code, said = launch(*given)
        assert code == 2 and message in said.err, said.err
    assert launch("eval")[0] == 0
    text.write_text(text.read_text().replace("cat", "cow"))
    code, said = launch("train", *train)
    assert code == 2 and "was trained on other data" in said.err
    assert launch("eval")[0] == 2
