"""Losses and metrics by hand, what masks leave out, how far gradients pass, what is shown."""

import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from nets.elman import Elman
from nets.errors import UserError
from nets.sequence import ManyToMany
from nets.tasks import sequence_figures
from nets.tasks.classify_sequence import ClassifySequence
from nets.tasks.metrics import add
from nets.tasks.sequence import Regress, TagSequence
from nets.tasks.task import Trained

KEY = jax.random.key(0)


class Echo(nn.Module):
    """Says its inputs times a parameter that is 1."""

    @nn.compact
    def __call__(self, inputs, *, train):
        return inputs * self.param("scale", nn.initializers.ones, (1,) * inputs.ndim)


def evaluated(task, model, batch, train=False):
    """The finished metrics of a batch, and its loss."""
    batch = {k: jnp.asarray(a) for k, a in batch.items()}
    params, state = task.init(model, KEY, batch)
    loss, (after, metrics) = task.loss(model, params, state, batch, KEY, train)
    assert after == state == {}
    finished = task.finish(metrics, {}, None)
    assert finished["loss"] == pytest.approx(float(loss))
    return finished


def test_regression_by_hand():
    inputs = np.array([[1.0, 2.0], [0.0, 0.0], [5.0, 5.0]], np.float32)
    targets = np.array([[1.0, 4.0], [0.1, 0.3], [0.0, 0.0]], np.float32)
    batch = {"inputs": inputs, "targets": targets, "mask": np.array([1, 1, 0], np.float32)}
    found = evaluated(Regress(tolerance=0.35), Echo(), batch)
    errors = {
        "loss": ((0 + 4) / 2 + (0.01 + 0.09) / 2) / 2,
        "rmse": math.sqrt(4.1 / 4),
        "mae": (0 + 2 + 0.1 + 0.3) / 4,
        "r2": 1 - 4.1 / (1 + 16 + 0.01 + 0.09 - 5.4**2 / 4),
    }
    assert found == pytest.approx({**errors, "accuracy": 0.5})
    # every number of a row must be near
    assert evaluated(Regress(tolerance=0.2), Echo(), batch)["accuracy"] == 0
    del batch["mask"]
    found = evaluated(Regress(), Echo(), batch)
    assert found["loss"] == pytest.approx((2 + 0.05 + 25) / 3) and found.keys() == errors.keys()
    with pytest.raises(UserError, match=r"outputs are \(2,\) a row, and the targets are \(1,\)"):
        Regress().init(Echo(), KEY, {"inputs": inputs, "targets": targets[:, :1]})


def test_classes_of_sequences_by_hand():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]], np.float32))
    batch = {"inputs": logits, "targets": np.array([0, 1, 2])}
    found = evaluated(ClassifySequence(), Echo(), batch | {"mask": np.array([1, 1, 0], np.float32)})
    assert found == pytest.approx({"loss": -(math.log(0.5) + math.log(0.1)) / 2, "accuracy": 0.5})


def test_sequences_are_rejected_by_the_margin_of_their_logits():
    # margins 3, 1, 2; the second, the least certain, is wrong
    logits = np.array([[3.0, 0, 0], [0, 1, 0], [0, 0, 2]])
    batch = {"inputs": logits, "targets": np.array([0, 2, 2])}
    task = ClassifySequence(rejection=(0.2, 0.4))
    for final in (False, True):
        _, new = task.test(Echo(), {"scale": np.ones((1, 1))}, {}, batch, KEY, final)
        found = task.finish(add({}, new), {}, None)
        assert ("error" in found) == final
    want = {"error": 1 / 3, "error_rejecting_20": 1 / 3, "error_rejecting_40": 0}
    assert {k: v for k, v in found.items() if "error" in k} == pytest.approx(want)
    with pytest.raises(UserError, match="rejection must be shares"):
        ClassifySequence(rejection=(1.0,))


def test_classes_of_steps_by_hand():
    """A model that answers with the same logits at each step: class 1 has a probability of 3/4."""
    bias = jnp.log(jnp.array([0.25, 0.75]))
    model = ManyToMany(num_classes=2, cell=Elman(3))
    targets = np.array([[1, 1, 0], [1, 0, 1], [0, 0, 0], [0, 1, 1]])
    batch = {"inputs": jnp.zeros((4, 3, 1)), "targets": jnp.asarray(targets)}
    params, state = TagSequence().init(model, KEY, batch)
    params["output"] = {"kernel": jnp.zeros((3, 2)), "bias": bias}

    def finished(**mask):
        _, (_, metrics) = TagSequence().loss(model, params, state, batch | mask, KEY, False)
        return TagSequence().finish(metrics, {}, None)

    wrong, right = -math.log(0.25), -math.log(0.75)
    expected = {"loss": (6 * right + 6 * wrong) / 12, "accuracy": 6 / 12, "exact_match": 0}
    assert finished() == pytest.approx(expected)
    rows = finished(mask=jnp.array([1.0, 0, 0, 1]))
    assert rows == pytest.approx(
        expected | {"loss": (4 * right + 2 * wrong) / 6, "accuracy": 4 / 6}
    )
    mask = jnp.array([[1.0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 1]])  # row 1 counts nowhere
    steps = finished(mask=mask)
    assert steps == pytest.approx(
        {"loss": (4 * right + wrong) / 5, "accuracy": 4 / 5, "exact_match": 2 / 3}
    )


@pytest.mark.parametrize(("k1", "k2"), [(4, 4), (4, 6), (2, 5)])
def test_k1_and_k2_are_how_far_gradients_pass(k1, k2):
    """Against runs whose carry is cut k2 steps before the end of each window of k1."""
    model, steps, rng = ManyToMany(num_classes=3, cell=Elman(4), vocab_size=3), 8, KEY
    ids = jax.random.randint(rng, (2, steps + 1), 0, 3)
    batch = {"inputs": ids[:, :-1], "targets": ids[:, 1:]}
    params, state = TagSequence().init(model, KEY, batch)

    def by_hand(params):
        loss = 0
        for end in range(k1, steps + 1, k1):
            cut, carry = max(end - k2, 0), None
            if cut:
                _, carry = model.apply({"params": params}, ids[:, :cut], train=False)
                carry = jax.lax.stop_gradient(carry)
            logits, _ = model.apply({"params": params}, ids[:, cut:end], carry, train=False)
            targets = ids[:, end - k1 + 1 : end + 1]
            loss += optax.softmax_cross_entropy_with_integer_labels(logits[:, -k1:], targets).sum()
        return loss / (2 * steps)

    def by_task(params, train):
        return TagSequence(k1=k1, k2=k2).loss(model, params, state, batch, KEY, train)[0]

    value, gradient = jax.jit(jax.value_and_grad(by_task), static_argnums=1)(params, True)
    expected_value, expected = jax.jit(jax.value_and_grad(by_hand))(params)
    assert value == pytest.approx(float(expected_value), rel=1e-5)
    assert jax.jit(by_task, static_argnums=1)(params, False) == pytest.approx(
        float(expected_value), rel=1e-5
    )
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k2": 4}, "k1 must be given with k2"),
        ({"k1": 4, "k2": 3}, "k2 must be at least 4, got 3"),
        ({"k1": 0}, "k1 must be at least 1, got 0"),
    ],
)
def test_impossible_truncations_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        TagSequence(**fields)


def test_truncations_that_do_not_fit_the_data_are_refused():
    inputs = jnp.zeros((2, 6, 1))
    with pytest.raises(UserError, match="k1 must divide the 6 steps of a batch, got 4"):
        TagSequence(k1=4).init(None, KEY, {"inputs": inputs, "targets": jnp.zeros((2, 6))})


def test_pictures_undo_the_order_of_the_steps():
    image = np.arange(12).reshape(1, 2, 3, 2)
    order = [3, 5, 0, 1, 4, 2]
    steps = image.reshape(1, 6, 2)[:, order]
    metadata = {"order": order, "shape": [2, 3, 2]}
    np.testing.assert_array_equal(sequence_figures.pictures(steps, metadata), image)
    metadata["order"] = None
    np.testing.assert_array_equal(
        sequence_figures.pictures(image.reshape(1, 2, 6), metadata), image
    )


def test_reading_shows_what_would_be_answered_after_each_step():
    rows = {"inputs": np.zeros((4, 2, 1)), "targets": np.array([0, 1, 1, 0])}
    answers = np.eye(2)[[[0, 0], [0, 1], [1, 1], [1, 1]]]  # [4, 2, K]
    metadata = {"class_names": ["no", "yes"], "order": None, "shape": [2, 1, 1]}
    metadata |= {"pixel_scale": [0.5], "pixel_offset": [-1.0]}
    found = sequence_figures.reading([rows], lambda _: answers, metadata)
    assert found["reading"].curves["accuracy"].tolist() == [50, 75]
    assert found["confusion"].values.tolist() == [[1, 1], [0, 2]]
    assert found["confusion"].unit == "sequences"
    assert found["mistakes"].captions == ("no read as yes",)
    assert found["mistakes"].images.ravel().tolist() == [2, 2] and found["mistakes"].unit == "pixel"


def test_stepwise_figures_have_the_probability_of_the_right_class():
    rows = {
        "inputs": np.array([[0, 1, 1], [0, 0, 1]]),
        "targets": np.array([[0, 1, 1], [1, 1, 0]]),
        "mask": np.array([[1, 0, 1], [1, 1, 1]]),
    }
    shares = np.array(
        [[[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], [[0.2, 0.8], [0.5, 0.5], [0.25, 0.75]]]
    )
    found = sequence_figures.stepwise(rows, shares, "ab", "01")
    right = np.array([[0.9, 0.6, 0.3], [0.8, 0.5, 0.25]])
    np.testing.assert_allclose(found["last_steps"].values, right)
    assert found["last_steps"].fixed_range and found["last_steps"].unit == "probability"
    np.testing.assert_allclose(found["probability"].curves["right answer"], right.mean(0))
    assert found["answers"].text.splitlines()[:4] == [
        "sequence  abb",
        "right     0 1",
        "answer    0 0",
        "wrong       ^",
    ]


def test_prediction_and_drawing_show_answers_beside_what_is_right():
    targets = np.arange(40.0)[::-1]
    view = sequence_figures.prediction(targets, targets + 3, groups=4)["answers"]
    np.testing.assert_allclose(view.x, [4.5, 14.5, 24.5, 34.5])
    np.testing.assert_allclose(view.curves["median"], view.x + 3)
    np.testing.assert_allclose(view.curves["10th percentile"], view.x - 3.6 + 3)
    metadata = {"class_names": ["a", "b"], "order": None, "shape": [1, 2, 1]}
    rows = {"inputs": np.array([1, 1]), "targets": np.array([[[1.0, 2.0]], [[3.0, 6.0]]])}
    view = sequence_figures.generated(rows, np.array([[[7.0, 8.0]], [[0.0, 0.0]]]), metadata)[
        "generated"
    ]
    assert view.images[0, 0, :, 0].tolist() == [7, 8, 8, 2, 4] and view.captions == ("class b",)


def test_rows_that_fill_a_batch_are_not_shown():
    batch = {"inputs": np.arange(3), "mask": np.array([[0, 1], [0, 0], [1, 1]])}
    assert sequence_figures.real(batch)["inputs"].tolist() == [0, 2]
    assert sequence_figures.real(batch | {"mask": np.array([1, 1, 0])})["inputs"].tolist() == [0, 1]


def test_dropout_masks_differ_from_step_to_step():
    """The task hands a key to every window: a model is not fed one key again and again."""

    def apply(variables, inputs, carry, train, rngs):
        return jax.random.normal(rngs["dropout"], (*inputs.shape, 2)), carry

    model = SimpleNamespace(apply=apply, initial_carry=lambda shape: jnp.zeros(1))
    drawn = TagSequence(k1=2).steps(model, {}, jnp.zeros((1, 6), jnp.int32), KEY, True)
    assert drawn.shape == (1, 6, 2) and len(np.unique(drawn)) == 12


def test_a_prediction_has_the_classes_of_an_image_by_their_probability(tmp_path):
    """0.5, 0.2 and 0.3 from their logarithms; the model has read all of the image, step by step."""
    logits = np.log(np.array([[0.5, 0.2, 0.3]], np.float32))
    task, params = ClassifySequence(), {"scale": np.ones((1, 1))}
    outputs = jax.device_get(task.outputs(Echo(), params, {}, {"inputs": logits}))
    source = {"image": np.zeros((6, 4, 1), np.uint8), "matrix": np.eye(3), "size": np.array([6, 4])}
    metadata = {"class_names": ["ant", "bee", "cat"]}
    trained = Trained(Echo(), params, {}, metadata, None, None, KEY)
    prediction = task.prediction(trained, source, outputs)
    assert prediction.summary == "ant 0.500  cat 0.300  bee 0.200"
    assert prediction.figure.read == (0, 0, 4, 6)
    assert prediction.figure.write(tmp_path, "a").is_file()
