"""Classification by glimpses: the hybrid loss, by hand, and an estimate of it by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.errors import UserError
from nets.recurrent_attention import Glances
from nets.tasks.classify_glimpses import ClassifyGlimpses, pixels

LOCATIONS = np.zeros((2, 3, 2), np.float32)
LOG_P = np.array([[-1.0, -2.0], [-0.5, -3.0]], np.float32)


class Stub(nn.Module):
    """Hands its parameters out as what it has seen."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> Glances:
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


def test_a_negative_weight_is_told():
    with pytest.raises(UserError, match="at least 0"):
        ClassifyGlimpses(reinforce=-1.0)
