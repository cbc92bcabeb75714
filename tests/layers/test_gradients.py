"""Identities that change the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.gradients import clip_gradient, scale_gradient
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM


def test_gradients_are_clipped_and_values_are_not():
    x = jnp.array([1.0, -200.0, 3.0])
    value, pull = jax.vjp(lambda x: clip_gradient(x, 10.0), x)
    np.testing.assert_array_equal(value, x)
    np.testing.assert_array_equal(pull(jnp.array([5.0, -20.0, 20.0]))[0], [5, -10, 10])


def test_a_negative_bound_is_refused():
    with pytest.raises(ValueError, match="bound must be at least 0, got -1"):
        clip_gradient(jnp.ones(2), -1)


def test_a_scaled_gradient_is_the_scaled_one():
    def loss(w):
        return jnp.sum(scale_gradient(w, jnp.array(0.25)) ** 3)

    np.testing.assert_allclose(jax.grad(loss)(jnp.array([1.0, 2.0])), [0.75, 3.0])


@pytest.mark.parametrize("peepholes", [False, True])
def test_an_lstm_clips_in_every_step_as_a_plain_loop_does(peepholes):
    """The backward pass of one unit through three steps, by hand-written chain rule."""
    clip, key = 0.05, jax.random.key(0)
    cell = LSTM(1, peepholes=peepholes, clip=clip)
    layer, x = Recurrent(cell), jnp.array([[[0.7], [-1.2], [0.4]]])
    params = layer.init(key, x)["params"]
    if peepholes:
        params["layer_0"]["peephole"] = jnp.array([[0.3], [-0.2], [0.5]])

    def loss(params, layer):
        return 4 * layer.apply({"params": params}, x)[0].sum()

    grads = jax.grad(loss)(params, layer)["layer_0"]
    same = Recurrent(cell.clone(), backend="scan")
    for name, grad in jax.grad(loss)(params, same)["layer_0"].items():
        np.testing.assert_allclose(grads[name], grad, rtol=1e-5, err_msg=name)
    w = {k: np.asarray(v, np.float64) for k, v in params["layer_0"].items()}
    expected = _clipped(w, np.asarray(x[0, :, 0], np.float64), clip, peepholes, 4.0)
    np.testing.assert_allclose(grads["bias"], expected, rtol=1e-4)
    free = jax.grad(loss)(params, Recurrent(cell.clone(clip=None)))["layer_0"]["bias"]
    assert np.abs(free - expected).max() > 0.01


def _clipped(w, x, clip, peepholes, top):
    """The gradient of the bias [4] where those of the gates' inputs are clipped in every step."""
    peep = w["peephole"][:, 0] if peepholes else np.zeros(3)
    kernel, recurrent, bias = w["kernel"][0], w["recurrent_kernel"][0], w["bias"]
    c, h, tape = 0.0, 0.0, []
    for value in x:
        a = value * kernel + h * recurrent + bias
        i, f = (1 / (1 + np.exp(-(a[k] + peep[k] * c))) for k in (0, 1))
        g, before = np.tanh(a[2]), c
        c = f * c + i * g
        o = 1 / (1 + np.exp(-(a[3] + peep[2] * c)))
        h = o * np.tanh(c)
        tape.append((i, f, g, o, before, c))
    total, d_h, d_c = np.zeros(4), 0.0, 0.0
    for i, f, g, o, before, c in reversed(tape):
        d_h = d_h + top
        d_o = (
            np.clip(d_h * np.tanh(c) * o * (1 - o), -clip, clip)
            if not peepholes
            else (d_h * np.tanh(c) * o * (1 - o))
        )
        d_c = d_c + d_h * o * (1 - np.tanh(c) ** 2) + d_o * peep[2]
        d_i, d_f, d_g = d_c * g * i * (1 - i), d_c * before * f * (1 - f), d_c * i * (1 - g * g)
        d_c_before = d_c * f + d_i * peep[0] + d_f * peep[1]
        d_a = np.clip([d_i, d_f, d_g, d_o], -clip, clip)
        total += d_a
        d_h, d_c = d_a @ recurrent, d_c_before
    return total
