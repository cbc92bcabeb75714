"""Initial weights of the cells, and their normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.conv_lstm import ConvLSTM
from nets.elman import Elman, Jordan, Trace
from nets.gru import GRU, MGU
from nets.layers.recurrent_cell import layer_norm
from nets.lstm import LSTM


def initial(cell, *shape):
    """A cell's weights for inputs of this shape."""
    variables = cell.init(jax.random.key(0), (1, *shape), jnp.float32, method="weights")
    return jax.device_get(variables)["params"]


@pytest.mark.parametrize(
    "cell, shape, columns",
    [
        (LSTM(4, forget_bias=0.5), (2,), slice(4, 8)),
        (LSTM(4, forget_bias=0.5, coupled=True), (2,), slice(0, 4)),
        (ConvLSTM(4, forget_bias=0.5), (3, 3, 2), slice(4, 8)),
    ],
)
def test_forget_bias(cell, shape, columns):
    bias = initial(cell, *shape)["bias"]
    expected = np.zeros(bias.shape)
    expected[columns] = 0.5
    np.testing.assert_array_equal(bias, expected)


@pytest.mark.parametrize("coupled", [False, True])
def test_chrono_draws_time_lags(coupled):
    units = 4000
    cell, shape = LSTM(units, chrono=51, coupled=coupled), ((3 if coupled else 4) * units,)
    bias = cell.initial_bias(jax.random.key(0), shape, jnp.float32).reshape(-1, units)
    forget, others = (bias[0], bias[1:]) if coupled else (bias[1], bias[2:])
    lags = np.exp(np.sort(forget))
    assert lags[0] >= 1 - 1e-6 and lags[-1] <= 50 + 1e-4
    np.testing.assert_allclose(lags, np.linspace(1, 50, units), atol=1.5)  # all quantiles
    np.testing.assert_array_equal(others, 0)
    if not coupled:
        np.testing.assert_array_equal(bias[0], -forget)
    with pytest.raises(ValueError, match="chrono must be at least 2, got 1"):
        initial(LSTM(4, chrono=1, coupled=coupled), 1)


@pytest.mark.parametrize(("update_gate", "sign"), [("keep", 1), ("replace", -1)])
def test_chrono_of_a_gru_keeps_for_these_lags(update_gate, sign):
    units = 4000
    cell = GRU(units, update_gate, chrono=51)
    bias = cell.initial_bias(jax.random.key(0), (3 * units,), jnp.float32).reshape(3, units)
    lags = np.exp(np.sort(sign * bias[1]))
    np.testing.assert_allclose(lags, np.linspace(1, 50, units), atol=1.5)
    np.testing.assert_array_equal(bias[::2], 0)
    with pytest.raises(ValueError, match="chrono must be at least 2, got 1"):
        initial(GRU(4, chrono=1), 1)
    with pytest.raises(ValueError, match="GRU.chrono must be None with layer_norm, got 9"):
        initial(GRU(4, layer_norm=True, chrono=9), 1)


def test_recurrent_kernels():
    """Orthogonal gate by gate, whichever side is longer; or a multiple of the identity."""
    for cell, parts in (
        (LSTM(4, projection=3), 4),
        (LSTM(4, projection=6, coupled=True), 3),
        (GRU(4), 3),
        (GRU(4, reset="before"), 3),
        (MGU(4), 2),
        (Elman(4, layer_norm=True), 1),
        (Jordan(4, outputs=2), 1),
    ):
        gates = np.split(initial(cell, 3)["recurrent_kernel"], parts, axis=1)
        for gate in gates:
            gram = gate.T @ gate if len(gate) >= gate.shape[1] else gate @ gate.T
            np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
        assert not any(np.allclose(gates[0], gate) for gate in gates[1:])
    identity = initial(Elman(4, nn.relu, identity=0.5), 3)["recurrent_kernel"]
    np.testing.assert_array_equal(identity, np.eye(4) / 2)
    window = initial(ConvLSTM(3, (3, 1)), 4, 4, 1)["recurrent_kernel"]  # [3, 1, 3, 12]
    for gate in np.split(window.reshape(9, 12), 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(3), atol=1e-5)


def test_input_kernels_fill_the_range_of_their_gate():
    for cell, shape, fans in (
        (LSTM(4, coupled=True), (600,), 600 + 4),
        (MGU(4), (600,), 600 + 4),
        (ConvLSTM(4, (3, 5)), (2, 2, 90), 15 * (90 + 4)),
    ):
        kernel, limit = initial(cell, *shape)["kernel"], (6 / fans) ** 0.5
        assert 0.98 * limit < np.abs(kernel).max() <= limit
        np.testing.assert_allclose(np.std(kernel), limit / 3**0.5, rtol=0.03)


def test_an_irnn_starts_as_published():
    """Le et al. 2015, section 2: R the identity, b zero, W from N(0, 0.001^2)."""
    weights = initial(Elman(200, nn.relu, identity=1.0, kernel_std=0.001), 500)
    np.testing.assert_array_equal(weights["recurrent_kernel"], np.eye(200))
    np.testing.assert_array_equal(weights["bias"], 0)
    kernel = np.ravel(weights["kernel"]) / 0.001
    within = [(np.abs(kernel) < k).mean() for k in (1, 2, 3)]
    np.testing.assert_allclose(within, [0.6827, 0.9545, 0.9973], atol=0.006)
    assert abs(kernel.mean()) < 0.02


NEUTRAL = {  # other weights: shape and value at first
    LSTM(4, peepholes=True, projection=3, layer_norm=True): {
        "peephole": ((3, 4), 0),
        "norm_x_scale": ((16,), 1),
        "norm_x_bias": ((16,), 0),
        "norm_h_scale": ((16,), 1),
        "norm_h_bias": ((16,), 0),
        "norm_c_scale": ((4,), 1),
        "norm_c_bias": ((4,), 0),
    },
    GRU(4): {"bias": ((12,), 0), "recurrent_bias": ((4,), 0)},
    GRU(4, layer_norm=True, reset="before"): {
        "norm_x_gates_scale": ((8,), 1),
        "norm_x_gates_bias": ((8,), 0),
        "norm_x_candidate_scale": ((4,), 1),
        "norm_x_candidate_bias": ((4,), 0),
        "norm_h_gates_scale": ((8,), 1),
        "norm_h_gates_bias": ((8,), 0),
        "norm_h_candidate_scale": ((4,), 1),
        "norm_h_candidate_bias": ((4,), 0),
    },
    MGU(4): {"bias": ((8,), 0)},
    Elman(4): {"bias": ((4,), 0)},
    Elman(4, layer_norm=True): {"norm_scale": ((4,), 1), "norm_bias": ((4,), 0)},
    Jordan(4, outputs=3): {"bias": ((4,), 0), "output_bias": ((3,), 0)},
    Trace(4): {"bias": ((4,), 0), "decay": ((2,), 0)},
}


@pytest.mark.parametrize("cell", NEUTRAL, ids=lambda cell: type(cell).__name__)
def test_other_weights(cell):
    weights = initial(cell, 2)
    drawn = {k for k in weights if k.endswith("kernel") or k == "projection"}
    if isinstance(cell, LSTM):
        drawn.add("bias")
    assert {k: a.shape for k, a in weights.items() if k not in drawn} == {
        k: shape for k, (shape, _) in NEUTRAL[cell].items()
    }
    for k, (_, value) in NEUTRAL[cell].items():
        np.testing.assert_array_equal(weights[k], value)
    assert all(np.std(weights[k]) > 0.1 for k in drawn)


def test_peepholes_of_images_are_of_their_size():
    weights = initial(ConvLSTM(2, peepholes=True), 5, 4, 1)
    np.testing.assert_array_equal(weights["peephole"], np.zeros((3, 5, 4, 2)))


def test_rows_are_normalised():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 512)) * [[1.0], [50.0], [1e-3]] + [[0.0], [-9.0], [2.0]]
    scale, bias = np.float32(rng.normal(size=(2, 512)))
    y = layer_norm({"n_scale": jnp.ones(512), "n_bias": jnp.zeros(512)}, "n", jnp.asarray(x))
    variance = x.var(-1)  # about 1, 2500 and 1e-6
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-3)
    np.testing.assert_allclose(y.var(-1), variance / (variance + 1e-6), rtol=1e-3)
    moved = layer_norm({"n_scale": scale, "n_bias": bias}, "n", jnp.asarray(x))
    np.testing.assert_allclose(moved, np.asarray(y) * scale + bias, rtol=1e-5, atol=1e-5)
    assert layer_norm({"m_scale": scale}, "n", x) is x


def test_statistics_of_bfloat16_are_float32():
    x = jnp.asarray(np.random.default_rng(0).normal(100, 1, (4, 64)), jnp.bfloat16)  # steps of 1/2
    y = layer_norm({"n_scale": jnp.ones(64), "n_bias": jnp.zeros(64)}, "n", x)
    exact = np.asarray(x, np.float64)
    exact = (exact - exact.mean(-1, keepdims=True)) / exact.std(-1, keepdims=True)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=2**-8, atol=1e-3)
