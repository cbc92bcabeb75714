"""The recursion compared with autodiff, with optax's loss of Flax's MLP, and by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from nets.demos import backpropagation
from nets.demos.backpropagation import Backpropagation
from nets.errors import UserError
from nets.mlp import MLP
from nets.tasks.classify import Classify

CLASSES, REGULARISATION = 3, 0.7


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def drawn(widths=(5, 4), dtype="float64"):
    """An MLP of sigmoid units, its parameters, and a batch of seven examples."""
    dtypes = {"dtype": dtype, "param_dtype": dtype}
    model = MLP(widths, CLASSES, activation=nn.sigmoid, **dtypes)
    rng = np.random.default_rng(0)
    batch = {"inputs": rng.normal(size=(7, 2, 3)).astype(dtype)}
    batch["targets"] = rng.integers(0, CLASSES, 7)
    init = functools.partial(model.init, jax.random.key(0), batch["inputs"], train=False)
    shapes = jax.eval_shape(init)["params"]
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), dtype), shapes)
    return model, params, batch


@pytest.mark.parametrize("widths", [(), (5,), (5, 4), (3, 6, 2, 4)], ids=str)
def test_the_recursion_equals_autodiff_of_flax_layer_by_layer(widths, float64):
    model, params, batch = drawn(widths)

    def objective(params):
        logits = model.apply({"params": params}, batch["inputs"], train=True)
        targets = jax.nn.one_hot(batch["targets"], CLASSES, dtype=jnp.float64)
        data = optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1).mean()
        kernels = sum(jnp.sum(layer["kernel"] ** 2) for layer in params.values())
        return data + REGULARISATION / (2 * 7) * kernels

    layers = backpropagation.layers_of(params)
    given = layers, *backpropagation.examples(batch, CLASSES), REGULARISATION
    np.testing.assert_allclose(backpropagation.cost(*given), objective(params), rtol=1e-12)
    expected = backpropagation.layers_of(jax.jit(jax.grad(objective))(params))
    for ours, theirs in zip(backpropagation.backpropagate(*given), expected, strict=True):
        assert ours["kernel"].dtype == jnp.float64
        for name in ("kernel", "bias"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-10)


def test_what_the_optimizer_gets_is_the_recursion(float64, monkeypatch):
    model, params, batch = drawn()
    task = Backpropagation(REGULARISATION)
    gradient = jax.grad(lambda p: task.loss(model, p, {}, batch, jax.random.key(0), True)[0])
    given = *backpropagation.examples(batch, CLASSES), REGULARISATION
    expected = backpropagation.backpropagate(backpropagation.layers_of(params), *given)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-12)
    jax.tree.map(close, backpropagation.layers_of(gradient(params)), expected)
    monkeypatch.setattr(backpropagation, "backpropagate", lambda layers, *_: layers)
    jax.tree.map(np.testing.assert_array_equal, gradient(params), params)


def test_one_unit_by_hand(float64):
    """h = sigmoid(0.5 * 2 - 1) = 1/2; delta = 1/2 - 1; Delta = delta * 2; D = (Delta + 3 * 0.5)."""
    layers = [{"kernel": jnp.array([[0.5]]), "bias": jnp.array([-1.0])}]
    x, y = jnp.array([[2.0]]), jnp.array([[1.0]])
    (found,) = backpropagation.backpropagate(layers, x, y, 3.0)
    np.testing.assert_allclose(found["kernel"], [[-1.0 + 1.5]])
    np.testing.assert_allclose(found["bias"], [-0.5])
    loss = math.log(2) + 3 / 2 * 0.25
    np.testing.assert_allclose(backpropagation.cost(layers, x, y, 3.0), loss)


def test_differences_agree_until_the_recursion_is_wrong(float64):
    _, params, batch = drawn()
    given = *backpropagation.examples(batch, CLASSES), REGULARISATION
    layers = backpropagation.layers_of(params)
    quotients = backpropagation.differences(layers, *given, 1e-4)
    right = backpropagation.backpropagate(layers, *given)
    unregularised = backpropagation.backpropagate(layers, *given[:2], 0.0)
    for quotient, gradient, wrong in zip(quotients, right, unregularised, strict=True):
        assert backpropagation.largest(quotient, gradient) < 1e-7
        assert backpropagation.largest(quotient, wrong) > 1e-3


def test_the_check_is_drawn_in_float64_whatever_the_run_computes_in():
    _, params, batch = drawn(dtype="float32")
    found = backpropagation.gradient_check(params, batch, CLASSES, REGULARISATION)
    errors, gradient = found["gradient_check"].panels
    assert list(errors.curves) == ["layer 1", "layer 2", "layer 3"]
    for error in errors.curves.values():  # of second order, until it is rounded
        assert 50 < error[2] / error[3] < 200 and error[4] < 1e-8 < error[-1]
    assert len(gradient.x) == 4 * CLASSES
    assert "layer 3" in found["gradients"].text


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MLP(activation=nn.tanh), "model.activation must be sigmoid, .* got tanh"),
        (MLP(activation=nn.sigmoid, dropout=0.5), "model.dropout must be 0, got 0.5"),
        (nn.Dense(3), "model must be an MLP, got Dense"),
    ],
)
def test_a_network_of_other_derivatives_is_refused(model, message):
    with pytest.raises(UserError, match=message):
        Backpropagation().init(model, jax.random.key(0), {"inputs": jnp.ones((1, 2))})


@pytest.mark.parametrize("field", ["regularisation", "check_examples"])
def test_impossible_settings_are_refused(field):
    with pytest.raises(UserError, match=f"^{field} must be at least"):
        Backpropagation(**{field: -1})


def test_accuracy_is_that_of_the_largest_logit():
    model, params, batch = drawn(dtype="float32")
    key = jax.random.key(0)
    found = [
        task.loss(model, params, {}, batch, key, False)[1][1]["accuracy"]
        for task in (Backpropagation(), Classify())
    ]
    assert found[0] == found[1]
