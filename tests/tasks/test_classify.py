"""The criteria, by hand and against torch; masks, rejection, pictures."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.tasks import classify
from nets.tasks.classify import Classify
from tests import toys


def test_cross_entropy_is_torchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 4)).astype(np.float32), rng.integers(0, 4, 5)
    for smoothing in (0.0, 0.1):
        want = torch.nn.functional.cross_entropy(
            torch.tensor(logits), torch.tensor(labels), reduction="none", label_smoothing=smoothing
        )
        found = classify.cross_entropy(jnp.asarray(logits), jnp.asarray(labels), smoothing)
        np.testing.assert_allclose(found, want.numpy(), rtol=1e-5)


def test_cross_entropy_by_hand():
    logits = jnp.array([[0.0, math.log(3.0)]])  # probabilities 1/4 and 3/4
    hand = {0.0: -math.log(0.25), 0.2: -0.9 * math.log(0.25) - 0.1 * math.log(0.75)}
    for smoothing, want in hand.items():
        found = classify.cross_entropy(logits, jnp.array([0]), smoothing)
        np.testing.assert_allclose(found, [want], rtol=1e-6)


def test_squared_error_by_hand():
    found = classify.squared_error(jnp.array([[0.5, -1.0, 1.0]]), jnp.array([0]))
    np.testing.assert_allclose(found, [0.5 * (0.25 + 0.0 + 4.0) / 3], rtol=1e-6)


def test_map_criterion_is_equation_9():
    y, label, j = [2.0, 0.5, 7.0], 1, 1.5
    want = y[label] + math.log(math.exp(-j) + sum(math.exp(-v) for v in y))
    found = classify.map_criterion(jnp.array([y]), jnp.array([label]), j)
    np.testing.assert_allclose(found, [want], rtol=1e-6)
    slope = jax.grad(lambda d: classify.map_criterion(d, jnp.array([label]), j)[0])(jnp.array([y]))
    assert slope[0, 1] > 0 > slope[0, 0]  # pulls the right centre near, pushes the others off
    assert abs(slope[0, 2]) < 0.01  # and leaves alone what is far beyond j


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
        "image": jnp.asarray(outputs)[:, None, :, None],
        "label": jnp.array([0, 0, 1]),
        "mask": jnp.array([1.0, 1.0, 0.0]),
    }
    loss, (_, sums) = Classify().loss(Given(), {}, {}, batch, jax.random.key(0), train=False)
    losses = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(1))]
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-6)
    np.testing.assert_array_equal(sums["confusion"][0], [[1, 1], [0, 0]])
    finished = Classify().finish(sums)
    assert finished["accuracy"] == 0.5 and set(finished) == {"accuracy", "loss"}


def test_rejection_curve_by_hand():
    scores = np.array([[0.9, 0.0], [0.2, 0.1], [0.0, 0.5], [0.6, 0.0]])
    labels = np.array([0, 1, 1, 1])  # the 2nd (margin 0.1) and the 4th (0.6) are wrong
    rejected, error = classify.rejection_curve(scores, labels)
    np.testing.assert_allclose(rejected, [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(error, [2 / 4, 1 / 3, 1 / 2, 0])


def test_pictures_show_the_worst_first():
    experiment = toys.classifier()
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 1))
    outputs = np.array([[3.0, 0, 0], [0, 2.0, 0], [0, 0, 9.0], [1.0, 0, 0]])
    labels = np.array([0, 0, 1, 0])  # the 2nd and the 3rd are wrong, the 3rd by more
    found = experiment.task.pictures({}, images, labels, outputs, ["a", "b", "c"])
    assert found["mistakes"].captions == ("b read as c", "a read as b")
    np.testing.assert_array_equal(found["mistakes"].images, images[[2, 1]])
    np.testing.assert_array_equal(found["confusion"].values, [[2, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert "2 of 4" in found["confusion"].title and "filters" not in found
    kernel = {"conv": {"kernel": np.zeros((5, 5, 1, 6))}}
    found = experiment.task.pictures(kernel, images, labels, outputs, ["a", "b", "c"])
    assert found["filters"].images.shape == (6, 5, 5, 1)
