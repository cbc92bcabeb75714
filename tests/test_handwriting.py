"""Handwriting networks: published counts, the window by a plain loop, streams, mistakes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.handwriting import Handwriting, written
from nets.lstm import LSTM

CELL = LSTM(5, peepholes=True, clip=10.0)


def points(rows=2, length=7, size=3):
    return jnp.asarray(np.random.default_rng(0).normal(size=(rows, length, size)), jnp.float32)


def made(model, *arrays):
    return jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), *arrays)


def count(model, *arrays):
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), *arrays)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def test_the_networks_have_as_many_weights_as_published():
    """Graves 2013 gives about 3.4 million for prediction and 3.7 for synthesis; by hand here.

    A layer of H cells and D inputs has 4 H (D + H + 1) + 3 H weights.
    """
    h, y = 400, 121
    layers = [4 * h * (d + h + 1) + 3 * h for d in (3, 3 + h, 3 + h)]
    expected = sum(layers) + 3 * h * y + y
    assert count(Handwriting(), points()) == expected == 3_368_121
    layers = [4 * h * (d + h + 1) + 3 * h for d in (3 + 57, 3 + 57 + h, 3 + 57 + h)]
    expected = sum(layers) + 3 * h * y + y + (h + 1) * 30
    text = jnp.ones((2, 4), int)
    assert count(Handwriting(window=10, vocab_size=57), points(), text) == expected
    assert round(expected, -5) == 3_700_000


def test_every_layer_reads_the_point_and_the_output_reads_every_layer():
    model, x = Handwriting(CELL, layers=3, mixtures=2), points()
    variables = made(model, x)
    params = jax.tree.map(np.asarray, variables["params"])
    assert params["output"]["kernel"].shape == (15, 13)
    shapes = [params[f"recurrent_{i}"]["layer_0"]["kernel"].shape[0] for i in range(3)]
    assert shapes == [3, 8, 8]
    y, _, stages = model.apply(variables, x, train=False, stages=True)
    hidden = np.concatenate([stages[f"layer_{i}"] for i in range(3)], axis=-1)
    expected = hidden @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_the_window_is_that_of_equations_46_to_51():
    model = Handwriting(CELL, layers=2, mixtures=2, window=3, vocab_size=6)
    x, text = points(), jnp.array([[3, 1, 5, 0, 0], [2, 2, 4, 1, 0]])
    variables = made(model, x, text)
    kernel = 0.7 * np.random.default_rng(3).normal(size=(5, 9))
    variables["params"]["window_kernel"] = jnp.asarray(kernel, jnp.float32)
    _, carry, stages = model.apply(variables, x, text, train=False, stages=True)
    w = {k: np.asarray(v, np.float64) for k, v in variables["params"]["first"].items()}
    bias = np.asarray(variables["params"]["window_bias"], np.float64)
    assert np.exp(bias[6:]) == pytest.approx([0.04] * 3)
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    for row in range(2):
        c = h = np.zeros(5)
        kappa, window, symbols = np.zeros(3), np.zeros(6), np.eye(6)[text[row]]
        symbols[:, 0] = 0
        for t in range(7):
            a = np.concatenate([x[row, t], window]) @ w["kernel"]
            a = a + h @ w["recurrent_kernel"] + w["bias"]
            p = w["peephole"]
            i, f = sigmoid(a[:5] + p[0] * c), sigmoid(a[5:10] + p[1] * c)
            c = f * c + i * np.tanh(a[10:15])
            h = sigmoid(a[15:] + p[2] * c) * np.tanh(c)
            alpha, beta, moved = np.split(np.exp(h @ kernel + bias), 3)
            kappa = kappa + moved
            phi = [np.sum(alpha * np.exp(-beta * (kappa - u) ** 2)) for u in range(1, 6)]
            window = phi @ symbols
            np.testing.assert_allclose(stages["window"][row, t], phi, rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(carry[0].position[row], kappa, rtol=1e-4)
        np.testing.assert_allclose(carry[0].window[row], window, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("window", [0, 3])
def test_steps_and_segments_equal_the_whole(window):
    model = Handwriting(CELL, layers=2, mixtures=2, window=window, vocab_size=6)
    x, text = points(), jnp.array([[3, 1, 0], [2, 2, 0]])
    text = text if window else None
    variables = made(model, x, text)
    y, last = model.apply(variables, x, text, train=False)
    one, carry = model.apply(variables, x[:, :3], text, train=False)
    two, carry = model.apply(variables, x[:, 3:], text, carry, train=False)
    np.testing.assert_allclose(jnp.concatenate([one, two], 1), y, atol=1e-6)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), carry, last)
    memory, carry = model.apply(variables, text, 2, method="start")
    for t in range(2):
        carry, out, weights = model.apply(variables, memory, carry, x[:, t], method="step")
        np.testing.assert_allclose(out, y[:, t], atol=1e-6)
        assert weights.shape == (2, 3 if window else 0)


def test_the_gradient_by_the_outputs_is_clipped():
    model, x = Handwriting(CELL, layers=1, mixtures=1, clip=0.5), points(1, 1)
    variables = made(model, x)

    def loss(variables):
        return (1000 * model.apply(variables, x, train=True)[0]).sum()

    bias = jax.grad(loss)(variables)["params"]["output"]["bias"]
    np.testing.assert_allclose(bias, np.full(7, 0.5))


def test_a_text_is_written_when_the_window_is_past_it():
    weights = jnp.array([[0.1, 0.5, 0.4, 0.0], [0.1, 0.2, 0.4, 0.9], [0.1, 0.2, 0.4, 0.0]])
    assert written(weights, jnp.array([2, 2, 2])).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("model", "arrays", "message"),
    [
        (
            Handwriting(CELL),
            (points(size=4),),
            r"inputs must be \[B, T, 3\], got shape \[2, 7, 4\]",
        ),
        (Handwriting(CELL, window=2, vocab_size=3), (points(),), "text must be given to a model"),
        (Handwriting(CELL, layers=0), (points(),), "layers must be at least 1, got 0"),
        (Handwriting(CELL, mixtures=0), (points(),), "mixtures must be at least 1, got 0"),
    ],
)
def test_mistakes_are_named(model, arrays, message):
    with pytest.raises(ValueError, match=message):
        count(model, *arrays)
