"""Pictures of gradients over time, compared with gradients by hand."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.sequences import Recall
from nets.demos import gradient_flow
from nets.demos.gradient_flow import GradientFlow
from nets.elman import Elman, Trace
from nets.errors import UserError
from nets.gru import GRU, MGU
from nets.lstm import LSTM
from nets.sequence import ManyToMany

X = jnp.asarray(np.random.default_rng(0).normal(size=(12, 4, 3)), jnp.float32)  # [T, B, D]


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
def test_a_linear_cell_with_an_orthogonal_kernel_scales_the_gradient_at_each_step(radius):
    cell = Elman(6, activation=lambda x: x)
    weights = gradient_flow.random_weights(cell, X, jax.random.key(0), radius)
    norms = gradient_flow.flow(cell, weights, X)
    np.testing.assert_allclose(norms, radius ** np.arange(12), rtol=1e-4)


def test_an_lstm_whose_gates_are_all_open_keeps_the_gradient_of_its_state():
    cell = LSTM(5)
    weights = gradient_flow.random_weights(cell, X, jax.random.key(0), 1.0)
    weights["recurrent_kernel"] *= 0
    weights["bias"] = jnp.full(20, 50.0).at[10:15].set(0)  # i, f and o at 1
    weights["kernel"] *= 0.01
    norms = gradient_flow.flow(cell, weights, X)
    np.testing.assert_allclose(norms[1:], norms[1], rtol=1e-3)


@pytest.mark.parametrize("cell", [Elman(6), LSTM(6), GRU(6)])
def test_each_gate_has_the_spectral_radius(cell):
    kernel = gradient_flow.random_weights(cell, X, jax.random.key(1), 0.8)["recurrent_kernel"]
    for block in np.split(np.asarray(kernel), kernel.shape[1] // 6, axis=1):
        assert np.abs(np.linalg.eigvals(block)).max() == pytest.approx(0.8, rel=1e-4)


def test_histograms_of_gates():
    cell = LSTM(5)
    weights = gradient_flow.random_weights(cell, X, jax.random.key(0), 1.0)
    weights["kernel"], weights["recurrent_kernel"] = (
        0 * weights[k] for k in ("kernel", "recurrent_kernel")
    )
    bias = {"input gate": 0.26, "forget gate": 0.91, "output gate": 0.02}
    logit = [math.log(p / (1 - p)) for p in bias.values()]
    weights["bias"] = jnp.repeat(jnp.array([logit[0], logit[1], 0, logit[2]]), 5)
    found = gradient_flow.gate_histograms(cell, weights, X, "x")
    for gate, level in bias.items():
        assert found[f"{gate}, x"].tolist() == [float(b == int(level * 20)) for b in range(20)]


def test_the_table_says_when_less_than_a_hundredth_is_left():
    flows = {"fades": 0.5 ** np.arange(20), "stays": np.ones(20)}
    fades, stays = gradient_flow.table(flows).splitlines()[1:]
    assert "7 steps" in fades and "1.9e-06" in fades  # 2 ** -7 < 0.01, 2 ** -19
    assert "never" in stays


@pytest.mark.parametrize("cell", [Trace(6), LSTM(6, projection=5)])
def test_a_cell_without_a_spectral_radius_is_refused(cell):
    data = Recall(distance=3, batch_size=2)
    metadata = data.metadata()
    model = ManyToMany(metadata["num_classes"], cell, metadata["vocab_size"])
    with pytest.raises(
        UserError, match="model.cell must have square recurrent weights .* got (trace|lstm)"
    ):
        GradientFlow().init(model, jax.random.key(0), data.train(0)[0])


@pytest.mark.parametrize("seed", [0, 1])
def test_clipping_rescues_a_run_that_diverges_without(seed):
    model, data = ManyToMany(cell=Elman(64)), Recall(distance=20, batch_size=32)
    metadata = data.metadata()
    model = model.clone(num_classes=metadata["num_classes"], vocab_size=metadata["vocab_size"])
    batches = [data.train(0)[i] for i in range(10)]
    task = dataclasses.replace(GradientFlow(), clip_updates=400)
    losses = task.clippings(model, batches, jax.random.key(seed))
    plain, *clipped = (found[-100:].mean() for found in losses.values())
    guessing = math.log(8)
    assert plain > 10 * guessing and max(clipped) < guessing / 10


@pytest.mark.parametrize(
    ("cell", "gated"),
    [
        (LSTM(4), True),
        (GRU(4), True),
        (LSTM(4, peepholes=True), False),
        (GRU(4, reset="before"), False),
        (MGU(4), False),
        (Elman(4), False),
    ],
    ids=str,
)
def test_a_panel_of_gates_is_of_gates(cell, gated):
    """The cells whose gates are not known show their outputs, and say so."""
    weights = gradient_flow.random_weights(cell, X, jax.random.key(0), 1.0)
    levels = gradient_flow.gate_histograms(cell, weights, X, "x")
    assert all(("gate" in name) == gated for name in levels)
    title = "How far gates are open" if gated else "How large outputs are"
    assert gradient_flow.levels_title(levels) == title


@pytest.mark.slow
def test_three_cells_are_compared_before_and_after_the_same_training():
    """On a batch that they do not learn from: its targets are wrong, so that none is right."""
    data = Recall(distance=3, batch_size=32)
    metadata = data.metadata()
    model = ManyToMany(metadata["num_classes"], Elman(16), metadata["vocab_size"])
    batches = [data.train(0)[i] for i in range(9)]
    batches[0]["targets"] = (batches[0]["targets"] + 1) % 8
    task = dataclasses.replace(GradientFlow(), cell_updates=150, cell_rate=2e-2)
    found = task.comparison(model, batches, jax.random.key(0))
    before, after = found.panels
    assert found.same_scale and before.log and after.log
    names = ["simple (Elman)", "LSTM (chrono=3)", "GRU (chrono=3)"]
    assert list(before.curves) == names
    cells = Elman(16), LSTM(16, chrono=3), GRU(16, chrono=3)
    assert tuple(gradient_flow.cells_to_compare(16, 3).values()) == cells
    assert list(after.curves) == [f"{name}, 0% right" for name in names]
    x = jax.nn.one_hot(batches[0]["inputs"], metadata["vocab_size"]).swapaxes(0, 1)
    params, _ = task.init(model, jax.random.key(0), batches[0])
    start = gradient_flow.flow(model.cell, params["recurrent"]["layer_0"], x)
    np.testing.assert_allclose(before.curves["simple (Elman)"], start, rtol=1e-4)
    for norms, trained in zip(before.curves.values(), after.curves.values(), strict=True):
        assert np.abs(trained / norms - 1).max() > 0.1 and trained[0] == norms[0] == 1
