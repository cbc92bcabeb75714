"""Classification by glimpses: the hybrid loss, by hand, and an estimate of it by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from PIL import Image

from nets.data.cluttered_digits import ClutteredDigits
from nets.errors import UserError
from nets.lstm import LSTM
from nets.recurrent_attention import Glances, RecurrentAttention
from nets.tasks.classify_glimpses import ClassifyGlimpses, pixels
from nets.tasks.task import Trained

LOCATIONS = np.zeros((2, 3, 2), np.float32)
LOG_P = np.array([[-1.0, -2.0], [-0.5, -3.0]], np.float32)


class Stub(nn.Module):
    """Hands its parameters out as what it has seen."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, sample: bool = False) -> Glances:
        def row(name, value):
            return self.param(name, lambda _: jnp.asarray(value))

        logits = row("logits", np.array([[2.0, 0.0], [3.0, 0.0]], np.float32))
        baseline = row("baseline", np.array([[0.25, 0.5], [0.75, 0.5]], np.float32))
        return Glances(logits, jnp.asarray(LOCATIONS), row("log_p", LOG_P), baseline)


BATCH = {"inputs": np.zeros((2, 4, 4, 1), np.float32), "targets": np.array([0, 1])}


def test_the_loss_and_its_gradient_by_hand():
    task, key = ClassifyGlimpses(reinforce=0.5), jax.random.key(0)
    params, state = task.init(Stub(), key, BATCH)
    value_and_grad = jax.value_and_grad(task.loss, argnums=1, has_aux=True)
    (_, (_, metrics)), gradient = value_and_grad(Stub(), params, state, BATCH, key, True)
    nll = np.log1p(np.exp([-2.0, 3.0]))  # -log softmax of the target
    np.testing.assert_allclose(metrics["loss"][0], nll.sum(), rtol=1e-6)
    assert (metrics["accuracy"][0], metrics["accuracy"][1]) == (1, 2)
    reward = np.array([[1.0, 1.0], [0.0, 0.0]])
    baseline = np.array(params["baseline"])
    np.testing.assert_allclose(gradient["log_p"], 0.5 * -(reward - baseline) / 2, rtol=1e-6)
    np.testing.assert_allclose(gradient["baseline"], 0.5 * -2 * (reward - baseline) / 2, rtol=1e-6)
    shares = 1 / (1 + np.exp([-2.0, -3.0]))  # of class 0
    expected = np.array([[shares[0] - 1, 1 - shares[0]], [shares[1], -shares[1]]]) / 2
    np.testing.assert_allclose(gradient["logits"], expected, rtol=1e-5)


def test_an_evaluation_has_the_loss_of_the_answer_alone():
    task, key = ClassifyGlimpses(), jax.random.key(0)
    params, state = task.init(Stub(), key, BATCH)
    gradient = jax.grad(task.loss, argnums=1, has_aux=True)(
        Stub(), params, state, BATCH, key, False
    )[0]
    assert not gradient["log_p"].any() and not gradient["baseline"].any()
    batch = BATCH | {"mask": np.array([1.0, 0.0], np.float32)}
    _, metrics = task.test(Stub(), params, state, batch, key, True)
    assert float(metrics["accuracy"][1]) == 1 and "predictions" in metrics


def test_locations_are_pixels_from_edge_to_edge():
    corners = np.array([[-1.0, -1.0], [1.0, 1.0], [0.5, -0.5]])
    assert pixels(corners, (20, 40)).tolist() == [[0, 0], [40, 20], [30, 5]]


def test_a_prediction_is_drawn_on_the_image_as_it_was_given(tmp_path):
    """40 x 20 pixels are read as the upper half of 20 x 20, from -1 to 1 in both directions."""
    Image.new("L", (40, 20), 99).save(tmp_path / "x.png")
    data, task = ClutteredDigits(name="digits", side=20, piece=4), ClassifyGlimpses()
    model = RecurrentAttention(10, glimpses=2, size=4, scales=2, cell=LSTM(4), hidden=3, features=5)
    metadata = data.metadata()
    batch, source = data.load_input(tmp_path / "x.png", metadata)
    params, state = task.init(model, jax.random.key(0), batch)
    outputs = jax.device_get(task.outputs(model, params, state, batch))
    trained = Trained(model, params, state, metadata, None, None, jax.random.key(0))
    found = task.prediction(trained, source, outputs)
    expected = (outputs[1][0] + 1) * 20  # twice the 10 pixels from the middle to an edge
    np.testing.assert_allclose(found.values["glimpses"], expected, atol=0.01)
    view = found.files["glimpses"]
    assert view.images.shape[1:3] == (20, 40) and view.sides == (8, 16)
    assert view.title.startswith(f"Read as {found.values['top'][0]['class']}: ")


def test_a_negative_weight_is_told():
    with pytest.raises(UserError, match="at least 0"):
        ClassifyGlimpses(reinforce=-1.0)
