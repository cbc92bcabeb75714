"""The networks compared with a plain loop, their gradients with a formula, errors by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.demos import approximation
from nets.demos.approximation import Approximate, Curves, TwoLayerNetworks
from nets.errors import UserError
from nets.tasks.task import Trained

WIDTHS = (1, 3, 8)
F = {
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "arctan": math.atan,
    "relu": lambda z: max(z, 0.0),
}


@functools.cache
def drawn():
    """Networks, random parameters, and a batch of points."""
    model, batch = TwoLayerNetworks(WIDTHS), Curves().draw(np.random.default_rng(0), 20, "train")
    shapes = jax.eval_shape(lambda: Approximate().init(model, jax.random.key(0), batch)[0])
    rng = np.random.default_rng(1)
    return model, jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape)), shapes), batch


def hidden(params, name, width, function, x):
    kernel, bias = (params[f"{name}_{width}_{k}"][function] for k in ("kernel", "bias"))
    return [F[name](w * x + b) for w, b in zip(kernel, bias, strict=True)]


def test_each_network_is_a_sum_of_hidden_units():
    model, params, batch = drawn()
    values = model.apply({"params": params}, batch["inputs"], train=False)
    assert list(values) == list(F)
    for name, (k, width), function in (
        (n, w, j) for n in F for w in enumerate(WIDTHS) for j in range(3)
    ):
        v = params[f"{name}_{width}_output"][function]
        expected = [
            params[f"{name}_{width}_constant"][function]
            + np.dot(v, hidden(params, name, width, function, x)) / math.sqrt(width)
            for x in batch["inputs"].tolist()
        ]
        np.testing.assert_allclose(values[name][:, k, function], expected, rtol=1e-4, atol=1e-5)


def test_each_network_learns_as_if_alone():
    """The gradient of its output weights is 2 mean(error * hidden unit) / sqrt(N)."""
    model, params, batch = drawn()
    task, key = Approximate(), jax.random.key(0)
    gradient = jax.grad(lambda p: task.loss(model, p, {}, batch, key, True)[0])(params)
    error = approximation.errors(model, params, batch)
    for name, function, width in (("tanh", 1, 8), ("relu", 2, 3), ("sigmoid", 0, 1)):
        e = np.asarray(error[name])[:, WIDTHS.index(width), function]
        units = [hidden(params, name, width, function, x) for x in batch["inputs"].tolist()]
        expected = 2 * np.mean(e[:, None] * np.array(units), 0) / math.sqrt(width)
        found = gradient[f"{name}_{width}_output"][function]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_units_change_within_the_interval():
    model, _, batch = drawn()
    model = model.clone(widths=(1000,))
    params, _ = Approximate().init(model, jax.random.key(3), batch)
    for name in F:
        kernel, bias = (np.asarray(params[f"{name}_1000_{k}"]) for k in ("kernel", "bias"))
        positions = -bias / kernel
        assert np.abs(positions).max() <= 1.0001
        np.testing.assert_allclose(positions.std(), 3**-0.5, rtol=0.05)


def test_functions_by_hand():
    x = np.array([-1, -2 / 3, -1 / 3, 0, 1 / 6, 0.3])
    targets = [f(x) for f in approximation.FUNCTIONS.values()]
    np.testing.assert_allclose(targets[0][[0, 3, 4]], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(targets[1][:5], [1, -1, 1, -1, 0], atol=1e-12)
    np.testing.assert_allclose(targets[2][[0, 3, 5]], [0.5, np.exp(-18), 0.85], atol=1e-12)
    batch = Curves(eval_size=5, eval_batch_size=5).evaluate("test")[0]
    assert batch["inputs"].tolist() == [-1, -0.5, 0, 0.5, 1]
    np.testing.assert_allclose(batch["targets"][1], [1, 0, 0.25], atol=1e-6)


def test_the_largest_error_of_the_widest_is_the_metric():
    """Networks that give 0 but for one constant: the error is the function's own maximum."""
    model, params, _ = drawn()
    params = jax.tree.map(np.zeros_like, params)
    params["tanh_8_constant"] = np.float32([0, 0.5, 0])
    params["relu_1_constant"] = np.float32([7, 0, 0])
    data = Curves(eval_size=1201, eval_batch_size=1201)
    task, batch = Approximate(), data.evaluate("test")[0]
    _, metrics = task.test(model, params, {}, batch, jax.random.key(0), True)
    rows = metrics["errors"]
    metrics["errors"] = rows._replace(values=jax.tree.map(np.asarray, rows.values), mask=None)
    found = task.finish(metrics, {}, None)
    expected = {"sigmoid": 1.0, "tanh": 1.5, "arctan": 1.0, "relu": 1.0}
    assert {k: found[f"error_{k}"] for k in F} == pytest.approx(expected, abs=1e-4)
    trained = Trained(model, params, {}, {}, None, None, jax.random.key(0))
    assert task.figures(trained, [batch], metrics, False) == {}
    figures = task.figures(trained, [batch], metrics, True)
    curve = figures["error_over_width"].panels[0].curves["relu"]
    np.testing.assert_allclose(curve, [8, 1, 1], atol=1e-4)
    first = figures["approximations_relu"].panels[0].curves
    assert list(first) == ["the function", "1 unit", "3 units", "8 units"]
    np.testing.assert_allclose(first["1 unit"], np.full(1201, 7.0))
    assert "1.5000" in figures["largest_errors"].text


@pytest.mark.parametrize("widths", [(), (0, 1), (4, 2), (2, 2)])
def test_widths_that_do_not_rise_are_refused(widths):
    with pytest.raises(UserError, match=r"^widths must rise from 1 or more, got \("):
        jax.eval_shape(
            lambda: TwoLayerNetworks(widths).init(jax.random.key(0), jnp.ones(2), train=False)
        )
