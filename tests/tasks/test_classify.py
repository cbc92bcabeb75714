"""The criteria, by hand and against torch; masks."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets import inception
from nets.errors import UserError
from nets.googlenet import GoogLeNet
from nets.tasks import metrics
from nets.tasks.classify import Classify
from nets.tasks.task import Trained


@pytest.mark.parametrize(
    ("criterion", "answer"), [("cross_entropy", 2), ("squared", 2), ("map", 1)]
)
def test_the_answer_is_the_largest_score_or_the_smallest_distance(criterion, answer):
    assert Classify(criterion).scores(np.array([[0.4, 0.1, 0.9]])).argmax() == answer


class Given:
    """A model whose outputs are its images' first row."""

    def apply(self, variables, x, *, train, rngs=None, mutable=None):
        return (x[:, 0, :, 0], {}) if mutable is not None else x[:, 0, :, 0]


def test_padding_counts_for_nothing():
    outputs = np.array([[2.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
    batch = {
        "inputs": jnp.asarray(outputs)[:, None, :, None],
        "targets": jnp.array([0, 0, 1]),
        "mask": jnp.array([1.0, 1.0, 0.0]),
    }
    loss, (_, sums) = Classify().loss(Given(), {}, {}, batch, jax.random.key(0), train=False)
    losses = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(1))]
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-6)
    finished = Classify().finish(sums, {}, None)
    assert finished["accuracy"] == 0.5 and set(finished) == {"accuracy", "loss"}


class Headed:
    """As `Given`; hands out two auxiliary heads, its images' second and third row, and a stage."""

    auxiliary = True

    def apply(self, variables, x, *, train, rngs=None, mutable=None, stages=False):
        outputs = x[:, 0, :, 0]
        if stages:
            outputs = outputs, {"aux1": x[:, 1, :, 0], "conv": x, "aux2": x[:, 2, :, 0]}
        return outputs, {}


def test_auxiliary_heads_weigh_in_what_is_minimised_alone():
    # logits (log 3, 0): probabilities 3/4 and 1/4
    third = math.log(3.0)
    rows = [[[third, 0], [0, third], [0, 0]], [[0, third], [0, 0], [third, 0]]]
    batch = {"inputs": jnp.array(rows)[..., None], "targets": jnp.array([0, 0])}
    main, first, second = np.log([[4 / 3, 4], [4, 2], [2, 4 / 3]]).mean(1)
    task = Classify(auxiliary=0.3)
    loss, (_, sums) = task.loss(Headed(), {}, {}, batch, jax.random.key(0), train=True)
    np.testing.assert_allclose(loss, main + 0.3 * first + 0.3 * second, rtol=1e-6)
    np.testing.assert_allclose(task.finish(sums, {}, None)["loss"], main, rtol=1e-6)
    for other, train in ((task, False), (Classify(), True)):
        loss, _ = other.loss(Headed(), {}, {}, batch, jax.random.key(0), train=train)
        np.testing.assert_allclose(loss, main, rtol=1e-6)


def test_inceptions_auxiliary_head_learns_by_its_own_logits(monkeypatch):
    """Its bias moves by weight (probability - target), of its own logits alone."""
    narrow = ((inception.Unit("branch1x1", 4),),)
    monkeypatch.setattr(inception, "MIXED", {"Mixed_6e": narrow})
    model, task = inception.InceptionV3(num_classes=3, auxiliary=True), Classify(auxiliary=0.4)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 299, 299, 3)).astype(np.float32)
    batch, key = {"inputs": images, "targets": np.array([0, 2])}, jax.random.key(1)
    shapes = jax.eval_shape(functools.partial(task.init, model), key, batch)

    def draw(leaf):
        return rng.uniform(-0.1, 0.1, leaf.shape).astype(np.float32)

    params, state = jax.tree.map(draw, shapes)

    @jax.jit
    def step(params):
        def loss(bias):
            head = params["AuxLogits"] | {"fc": params["AuxLogits"]["fc"] | {"bias": bias}}
            return task.loss(model, params | {"AuxLogits": head}, state, batch, key, train=True)

        bias = params["AuxLogits"]["fc"]["bias"]
        slope, (after, _) = jax.grad(loss, has_aux=True)(bias)
        run = functools.partial(model.apply, train=True, stages=True, mutable=["batch_stats"])
        (_, seen), _ = run({"params": params, **state}, batch["inputs"], rngs={"dropout": key})
        return slope, after["batch_stats"]["AuxLogits"], seen["aux1"]

    slope, statistics, logits = step(params)
    missed = jax.nn.softmax(logits) - np.eye(3)[batch["targets"]]
    np.testing.assert_allclose(slope, 0.4 * missed.mean(0), rtol=1e-4)
    before = state["batch_stats"]["AuxLogits"]["conv1"]["bn"]["mean"]
    assert not np.allclose(statistics["conv1"]["bn"]["mean"], before)


def test_an_auxiliary_weight_without_heads_is_refused():
    with pytest.raises(UserError, match="auxiliary must be at least 0, got -1"):
        Classify(auxiliary=-1)
    images = {"inputs": jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)}
    plain = functools.partial(Classify(auxiliary=0.3).init, GoogLeNet(num_classes=3))
    with pytest.raises(
        UserError, match="auxiliary must be 0 for GoogLeNet without auxiliary heads"
    ):
        jax.eval_shape(plain, jax.random.key(0), images)


def test_auxiliary_heads_without_a_weight_are_refused():
    images = {"inputs": jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)}
    headed = functools.partial(Classify().init, GoogLeNet(num_classes=3, auxiliary=True))
    with pytest.raises(UserError, match="auxiliary must be above 0 for GoogLeNet"):
        jax.eval_shape(headed, jax.random.key(0), images)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 2.0, math.nan])
def test_a_smoothing_that_leaves_no_label_is_refused(smoothing):
    with pytest.raises(UserError, match=f"smoothing must be .* got {smoothing}"):
        Classify(smoothing=smoothing)


def test_the_five_best_of_more_than_ten_classes():
    batch = {
        "inputs": jnp.tile(jnp.arange(11.0), (4, 1))[:, None, :, None],  # the five best: 6 to 10
        "targets": jnp.array([10, 6, 5, 6]),
        "mask": jnp.array([1.0, 1.0, 1.0, 0.0]),
    }
    _, (_, sums) = Classify().loss(Given(), {}, {}, batch, jax.random.key(0), train=False)
    finished = Classify().finish(sums, {}, None)
    np.testing.assert_allclose([finished["top5"], finished["accuracy"]], [2 / 3, 1 / 3], rtol=1e-6)
    ten = batch | {"inputs": batch["inputs"][:, :, 1:]}
    _, (_, sums) = Classify().loss(Given(), {}, {}, ten, jax.random.key(0), train=False)
    assert "top5" not in sums


def test_the_error_of_those_left_when_the_least_certain_are_rejected():
    # margins 1, 4, 2, 3, 5 and one that only fills the batch; the first and third are wrong
    scores = np.array([[1.0, 0], [0, 4], [2, 0], [3, 0], [0, 5], [0, 9]])
    batch = {
        "inputs": jnp.asarray(scores)[:, None, :, None],
        "targets": jnp.array([1, 1, 1, 0, 1, 0]),
        "mask": jnp.array([1.0, 1, 1, 1, 1, 0]),
    }
    task = Classify(rejection=(0, 0.2, 0.399, 0.4))
    _, new = task.test(Given(), {}, {}, batch, jax.random.key(0), final=True)
    finished = task.finish(metrics.add({}, new), {}, None)
    errors = {k: v for k, v in finished.items() if "error" in k}
    want = {"error": 2 / 5, "error_rejecting_0": 2 / 5, "error_rejecting_20": 1 / 4}
    want |= {"error_rejecting_39.9": 1 / 4, "error_rejecting_40": 0}
    assert errors == pytest.approx(want)
    _, new = task.test(Given(), {}, {}, batch, jax.random.key(0), final=False)
    assert set(task.finish(metrics.add({}, new), {}, None)) == {"accuracy", "loss"}
    distances = dataclasses.replace(task, criterion="map")  # the smallest distance is the answer
    _, new = distances.test(Given(), {}, {}, batch, jax.random.key(0), final=True)
    assert distances.finish(metrics.add({}, new), {}, None)["error_rejecting_20"] == 3 / 4


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_a_share_that_cannot_be_rejected_is_refused(share):
    with pytest.raises(UserError, match=f"rejection must be shares at .* 1, got 0.1,{share}"):
        Classify(rejection=(0.1, share))


@pytest.mark.parametrize(
    ("criterion", "outputs", "names", "scores", "unit"),
    [
        # softmax of the logarithms of 1, 2, 4, 8, 16, 32
        ("cross_entropy", np.log(2.0 ** np.arange(6)), "fedcb", [32, 16, 8, 4, 2], "probability"),
        ("binary", [math.log(3)], "ba", [0.75, 0.25], "probability"),
        ("one_vs_rest", [0.0, math.log(4), -math.log(4)], "bac", [0.8, 0.5, 0.2], "probability"),
        ("squared", [-1.0, 0.25, 0.75], "cba", [0.75, 0.25, -1], "output"),
        ("map", [3.0, 0.5, 40.0], "bac", [0.5, 3, 40], "distance"),
    ],
)
def test_a_prediction_has_the_five_best_classes(criterion, outputs, names, scores, unit, tmp_path):
    task = Classify(criterion)
    batch = {"inputs": jnp.asarray(outputs, jnp.float32)[None, None, :, None]}
    found = jax.device_get(task.outputs(Given(), {}, {}, batch))
    # the model has read the middle 4 x 4 of 6 x 8 pixels, doubled
    matrix = np.array([[2, 0, -4], [0, 2, -2], [0, 0, 1]])
    source = {"image": np.zeros((6, 8, 1), np.uint8), "matrix": matrix, "size": np.array([8, 8])}
    trained = Trained(Given(), {}, {}, {"class_names": "abcdef"}, None, None, jax.random.key(0))
    prediction = task.prediction(trained, source, found)
    if criterion == "cross_entropy":
        scores = np.array(scores) / 63
    assert prediction.values["score"] == unit
    top = prediction.values["top"]
    assert [row["class"] for row in top] == list(names)
    assert [row["id"] for row in top] == ["abcdef".index(name) for name in names]
    np.testing.assert_allclose([row["score"] for row in top], scores, rtol=1e-6)
    assert prediction.summary.startswith(f"{names[0]} {scores[0]:.3f}  {names[1]} {scores[1]:.3f}")
    assert prediction.figure.read == (2, 1, 6, 5) and prediction.figure.names == tuple(names)
    assert prediction.figure.write(tmp_path, "a").is_file()
