"""The language model's task: what the carry does, what the metrics mean, samples."""

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
