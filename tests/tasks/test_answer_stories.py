"""Questions about stories: linear start, errors by task, the ranking loss, figures, predictions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.data.babi import Babi
from nets.errors import UserError
from nets.memory_network import MemN2N, MemoryNetwork
from nets.report.figures import Text
from nets.tasks import answer_stories_figures
from nets.tasks.answer_stories import AnswerStories, AnswerWithSupport, ranking_loss
from nets.tasks.metrics import add
from nets.tasks.task import Trained

DATA = Babi(questions=50, widths=(), batch_size=4, eval_batch_size=75)
MODELS = {
    AnswerStories(linear=2): MemN2N(features=4, hops=2),
    AnswerWithSupport(): MemoryNetwork(features=4, hops=2),
}
of_both = pytest.mark.parametrize("task", MODELS, ids=lambda task: type(task).__name__)


@functools.cache
def made(task):
    metadata = DATA.metadata()
    facts = {name: metadata[name] for name in ("vocab_size", "max_memories")}
    model = MODELS[task].clone(**facts)
    batch = DATA.train(0)[0]
    params, state = task.init(model, jax.random.key(0), batch)
    step = jax.jit(functools.partial(task.loss, model, train=True))
    return model, params, state, batch, step


def test_the_softmax_comes_in_after_the_linear_start():
    task = next(iter(MODELS))
    model, params, state, batch, step = made(task)
    key, seen = jax.random.key(0), []
    for _ in range(4):
        value, (state, _) = step(params, state, batch, key)
        seen.append(float(value))
    assert int(state["step"]) == 4 and seen[0] == seen[1] != seen[2] == seen[3]
    logits = model.apply(
        {"params": params}, batch["inputs"], batch["question"], train=True, rngs={"dropout": key}
    )
    shares = jax.nn.log_softmax(logits)[jnp.arange(4), batch["targets"]]
    assert seen[2] == pytest.approx(-float(shares.mean()), rel=1e-4)


def test_the_ranking_loss_adds_up_what_comes_too_near():
    scores = np.array([[0.3, 0.25, -1.0, -np.inf], [2.0, 1.0, 1.95, 2.5]])
    expected = [0.1 - 0.3 + 0.25, (0.1 - 1.95 + 2.0) + (0.1 - 1.95 + 2.5)]
    actual = ranking_loss(jnp.asarray(scores), jnp.array([0, 2]), 0.1)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_training_is_told_the_sentences_and_counts_hops_up_to_the_first_none():
    task = [*MODELS][1]
    model, params, state, batch, step = made(task)
    value, _ = step(params, state, batch, jax.random.key(0))
    support = batch["support"][:, :2]
    answers, memories = model.apply(
        {"params": params}, batch["inputs"], batch["question"], support, train=True
    )
    total = np.array(ranking_loss(answers, batch["targets"], 0.1))
    for row, (first, second) in enumerate(support):
        for hop, right in [(0, first), (1, second)]:
            right = memories.shape[-1] - 1 if right < 0 else int(right)
            total[row] += float(ranking_loss(memories[row, hop], jnp.array(right), 0.1))
    assert (support[:, 1] < 0).any()  # the second hop then has to find that there is none
    assert float(value) == pytest.approx(total.mean(), rel=1e-4)


@of_both
def test_errors_are_those_of_each_task_and_the_figures_say_where_it_looks(task, tmp_path):
    model, params, state, _, _ = made(task)
    batches, totals, wrong = list(DATA.evaluate("test")), {}, {}
    test = jax.jit(functools.partial(task.test, model, final=True))
    outputs = jax.jit(functools.partial(task.outputs, model))
    for batch in batches:
        _, metrics = test(params, state, batch, jax.random.key(0))
        totals = add(totals, jax.device_get(metrics))
        answers, hops = outputs(params, state, batch)
        assert hops.shape == (75, 2, batch["inputs"].shape[1])
        for row in np.flatnonzero(batch["mask"]):
            right = answers[row].argmax() == batch["targets"][row]
            wrong.setdefault(int(batch["task"][row]), []).append(not right)
    values = task.finish(totals, DATA.metadata(), None)
    errors = {k: np.mean(rows) for k, rows in sorted(wrong.items())}
    assert {k: values[f"error_{k}"] for k in (1, 2, 3)} == pytest.approx(errors)
    assert values["mean_error"] == pytest.approx(np.mean([*errors.values()]))
    assert values["failed"] == sum(error > 0.05 for error in errors.values())
    assert "error_1" not in task.finish({k: v for k, v in totals.items() if k != "final"}, {}, None)
    trained = Trained(model, params, state, DATA.metadata(), None, None, jax.random.key(0))
    figures = task.figures(trained, batches, totals, final=True)
    assert isinstance(figures["tasks"], Text) and "where a thing is" in figures["tasks"].text
    assert len(figures["hops"].panels) == 3
    assert figures["hops"].write(tmp_path, "hops").stat().st_size > 1000
    assert ("linear start" in figures["hops"].title) == (task.linear > 0)
    ended = trained._replace(model_state={"step": np.array(2)})
    title = task.figures(ended, batches, totals, final=True)["hops"].title
    assert title.startswith("Where each hop looks") and "linear start" not in title


def test_a_prediction_names_the_answer_and_the_sentences():
    task = next(iter(MODELS))
    model, params, state, _, _ = made(task)
    read = DATA.read_prompt("Anna went to the hall. Where is Anna?", DATA.metadata())
    outputs = jax.device_get(task.outputs(model, params, state, read.batch))
    state = {"step": np.array(task.linear)}  # after the linear start
    trained = Trained(model, params, state, DATA.metadata(), None, None, jax.random.key(0))
    probabilities, hops = outputs
    hops = np.zeros_like(hops)
    hops[0, :, 0] = 0.6, 0.4  # the rest is on empty slots
    predicted = task.prediction(trained, read.source, (probabilities, hops))
    assert predicted.values["hops"] == ["anna went to the hall", None]
    before = task.prediction(trained._replace(model_state={"step": 0}), read.source, outputs)
    assert before.values["hops"] == ["anna went to the hall"] * 2  # of the highest score
    assert predicted.values["answer"] in DATA.metadata()["vocabulary"]
    share = predicted.values["probability"]
    assert share == pytest.approx(probabilities.max()) and probabilities.sum() == pytest.approx(1)
    answer = predicted.values["answer"]
    assert predicted.summary == f"where is anna? {answer} (probability {share:.2f})"


def test_a_network_with_support_gives_scores_and_no_probabilities():
    task = [*MODELS][1]
    model, params, state, _, _ = made(task)
    read = DATA.read_prompt("Anna went to the hall. Where is Anna?", DATA.metadata())
    outputs = jax.device_get(task.outputs(model, params, state, read.batch))
    trained = Trained(model, params, state, DATA.metadata(), None, None, jax.random.key(0))
    predicted = task.prediction(trained, read.source, outputs)
    scores, _ = model.apply(
        {"params": params}, read.batch["inputs"], read.batch["question"], train=False
    )
    assert predicted.values["score"] == pytest.approx(float(scores.max()), rel=1e-5)
    assert predicted.values.keys() == {"answer", "score", "hops"}


class Chooses(nn.Module):
    """Chooses sentence 1, none, and then sentence 0, which is after none."""

    @nn.compact
    def __call__(self, story, question, *, train):
        return jnp.zeros((1, 9)), jnp.array([[[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]])


def test_what_is_chosen_after_none_is_not_looked_at():
    batch = {"inputs": np.ones((1, 2, 3), int), "question": np.ones((1, 3), int)}
    _, hops = AnswerWithSupport().outputs(Chooses(), {}, {}, batch)
    assert hops.tolist() == [[[0, 1], [0, 0], [0, 0]]]
    story, shares = ["a b", "c d"], np.array([[0.25, 0.75]])
    predicted = answer_stories_figures.prediction(
        story, "e", shares, np.asarray(hops), ["no", "yes"], "score", linear=False
    )
    assert predicted.values["hops"] == ["c d", None, None] and predicted.values["answer"] == "yes"
    row = batch | {"targets": np.array([1])}
    for weights, told in [(np.asarray(hops), True), (np.full((1, 3, 2), 0.5), False)]:
        figure = answer_stories_figures.hops([(row, shares, weights)], ["no", "yes"], False)["hops"]
        assert figure.title.endswith("nowhere") == told


def test_mistakes_are_refused():
    with pytest.raises(UserError, match="linear must be 0 for a MemoryNetwork, got 3"):
        AnswerWithSupport(linear=3)
    task = [*MODELS][1]
    model, params, state, batch, _ = made(task)
    with pytest.raises(UserError, match="the model's hops must be at most 3, .* got 4"):
        task.loss(model.clone(hops=4), params, state, batch, jax.random.key(0), train=True)
