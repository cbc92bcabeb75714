"""Torch's recurrent weights: what is made of them, and torch's numbers (golden/) without torch."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.elman import Elman
from nets.gru import GRU
from nets.interop.torch import recurrent_from_torch, recurrent_to_torch
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM

GOLDEN = Path(__file__).parent / "golden"
CELLS = {
    "rnn_tanh": Elman(3),
    "rnn_relu": Elman(3, activation=nn.relu),
    "lstm": LSTM(3),
    "lstm_projection": LSTM(3, projection=2),
    "gru": GRU(3),
}


def golden(kind):
    with np.load(GOLDEN / f"{kind}.npz") as file:
        return dict(file)


def part(data, name):
    """The entries of `data` below "name/"."""
    return {k.removeprefix(f"{name}/"): a for k, a in data.items() if k.startswith(f"{name}/")}


def carry_of(model, x, states):
    """Torch's h_0 and c_0, layer by layer and forward before backward, as the model's carry."""
    template = model.initial_carry(x[:, 0].shape)
    kind, size = type(template[0][0]), len(template[0])
    cells = [
        kind(*(states[f"{name}_0"][i] for name in kind._fields)) for i in range(len(states["h_0"]))
    ]
    return tuple(tuple(cells[i : i + size]) for i in range(0, len(cells), size))


def assert_equals_torch(data, cell, layers=2, bidirectional=True, **options):
    """Results, and their derivatives by all weights, the input and the state before step 0."""
    params = recurrent_from_torch(part(data, "state"), cell)
    given = {name: data[name] for name in ("input", "h_0", "c_0") if name in data}
    with jax.enable_x64(True):
        types = {"dtype": jnp.float64, "param_dtype": jnp.float64}
        model = Recurrent(cell, layers, bidirectional, **options, **types)

        def run(params, given):
            x, carry = given["input"], carry_of(model, given["input"], given)
            output, last = model.apply({"params": params}, x, carry, lengths=data.get("lengths"))
            last = [c for layer in last for c in layer]
            results = {f"{k}_n": jnp.stack([getattr(c, k) for c in last]) for k in last[0]._fields}
            results["output"] = output
            return sum((data[f"weight/{k}"] * a).sum() for k, a in results.items()), results

        gradients, results = jax.jit(jax.grad(run, (0, 1), has_aux=True))(params, given)
        gradients, results = jax.tree.map(np.asarray, (gradients, results))
    theirs = part(data, "gradient")
    pairs = {name: (a, data[name]) for name, a in results.items()}
    pairs |= {f"gradient by {name}": (a, theirs[name]) for name, a in gradients[1].items()}
    ends = ("", "_reverse") if bidirectional else ("",)
    for place in [f"{i}{end}" for i in range(layers) for end in ends]:
        layer = gradients[0][f"layer_{place}"]
        wanted = {
            "kernel": theirs[f"weight_ih_l{place}"].T,
            "recurrent_kernel": theirs[f"weight_hh_l{place}"].T,
        }
        if "projection" in layer:
            wanted["projection"] = theirs[f"weight_hr_l{place}"].T
        if f"bias_ih_l{place}" in theirs:
            wanted["bias"] = theirs[f"bias_ih_l{place}"]  # a sum has the derivative of its parts
            if isinstance(cell, GRU):
                wanted["recurrent_bias"] = theirs[f"bias_hh_l{place}"][2 * cell.features :]
            assert wanted.keys() == layer.keys()
        pairs |= {f"gradient by {place} {k}": (layer[k], a) for k, a in wanted.items()}
    for name, (got, want) in pairs.items():
        assert got.dtype == np.float64 and got.shape == want.shape, name
        error = np.abs(got - want).max() / np.abs(want).max()
        assert error < 1e-12, f"{name}: {error}"


@pytest.mark.parametrize(
    ("kind", "backend"),
    [(kind, "scan") for kind in CELLS]
    + [(kind, "fused") for kind, cell in CELLS.items() if cell.fusable],
)
def test_equals_golden(kind, backend):
    assert_equals_torch(golden(kind), CELLS[kind], backend=backend)


def test_gru_by_hand():
    state = {
        "weight_ih_l0": np.float32([[1, 2], [3, 4], [5, 6]]),
        "weight_hh_l0": np.float32([[7], [8], [9]]),
        "bias_ih_l0": np.float32([10, 20, 30]),
        "bias_hh_l0": np.float32([1, 2, 3]),
    }
    params = recurrent_from_torch(state, GRU(1))
    layer = {
        "kernel": [[1, 3, 5], [2, 4, 6]],
        "recurrent_kernel": [[7, 8, 9]],
        "bias": [11, 22, 30],
        "recurrent_bias": [3],
    }
    assert jax.tree.map(np.ndarray.tolist, params) == {"layer_0": layer}
    back = recurrent_to_torch(params, GRU(1), prefix="rnn.")
    wanted = state | {"bias_ih_l0": np.array([11, 22, 30]), "bias_hh_l0": np.array([0, 0, 3])}
    assert {k: a.tolist() for k, a in back.items()} == {
        f"rnn.{k}": a.tolist() for k, a in wanted.items()
    }


@pytest.mark.parametrize("kind", CELLS)
def test_round_trips(kind):
    """Exact from here to torch and back; from torch, but for the parts of a bias."""
    cell, state = CELLS[kind], part(golden(kind), "state")
    params = recurrent_from_torch(state, cell)
    back = recurrent_to_torch(params, cell)
    assert list(back) == list(state)
    for name, a in state.items():
        if name.startswith("weight"):
            np.testing.assert_array_equal(back[name], a)
        elif name.startswith("bias_ih"):
            other = name.replace("_ih", "_hh")
            np.testing.assert_array_equal(back[name] + back[other], a + state[other])
    jax.tree.map(np.testing.assert_array_equal, recurrent_from_torch(back, cell), params)


def test_a_gru_of_the_other_convention():
    data, cell = golden("gru"), GRU(3, update_gate="replace")
    params = recurrent_from_torch(part(data, "state"), cell)
    with jax.enable_x64(True):
        model = Recurrent(cell, 2, True, dtype=jnp.float64, param_dtype=jnp.float64)
        carry = carry_of(model, data["input"], data)
        output, _ = model.apply({"params": params}, data["input"], carry, lengths=data["lengths"])
    np.testing.assert_allclose(output, data["output"], rtol=1e-12, atol=1e-14)
    back, theirs = (
        recurrent_to_torch(params, cell),
        recurrent_to_torch(recurrent_from_torch(part(data, "state"), GRU(3)), GRU(3)),
    )
    jax.tree.map(np.testing.assert_array_equal, back, theirs)
    jax.tree.map(np.testing.assert_array_equal, recurrent_from_torch(back, cell), params)


@pytest.mark.parametrize("kind", CELLS)
def test_what_is_returned_are_copies_of_the_same_type(kind):
    cell, state = CELLS[kind], part(golden(kind), "state")
    state = {name: a.astype(np.float16) for name, a in state.items()}
    params = recurrent_from_torch(state, cell)
    back = recurrent_to_torch(params, cell)
    arrays = [list(state.values()), jax.tree.leaves(params), list(back.values())]
    assert {a.dtype for a in sum(arrays, [])} == {np.dtype(np.float16)}
    assert all(a.flags.c_contiguous and a.flags.writeable for a in arrays[1] + arrays[2])
    for before, after in zip(arrays, arrays[1:], strict=False):
        assert not any(np.shares_memory(a, b) for a in before for b in after)


def test_without_biases():
    state = part(golden("gru"), "state")
    state = {name: np.float32(a) for name, a in state.items() if name.startswith("weight")}
    params = recurrent_from_torch(state, GRU(3))
    for layer in params.values():
        assert not layer["bias"].any() and layer["bias"].shape == (9,)
        assert not layer["recurrent_bias"].any() and layer["recurrent_bias"].shape == (3,)
        assert layer["bias"].dtype == layer["recurrent_bias"].dtype == np.float32
    assert recurrent_to_torch(params, GRU(3), bias=False).keys() == state.keys()
    params["layer_1"]["recurrent_bias"][0] = 1
    with pytest.raises(ValueError, match="biases must be zero .* got layer_1/recurrent_bias$"):
        recurrent_to_torch(params, GRU(3), bias=False)


def test_only_names_with_the_prefix_are_looked_at():
    state = part(golden("lstm"), "state")
    larger = {f"encoder.rnn.{name}": a for name, a in state.items()} | {
        "encoder.rnn2.weight_ih_l7": np.zeros(1),
        "weight_ih_l2_reverse": np.zeros(1),
    }
    params = recurrent_from_torch(larger, LSTM(3), prefix="encoder.rnn.")
    jax.tree.map(np.testing.assert_array_equal, params, recurrent_from_torch(state, LSTM(3)))


def test_table_of_what_does_not_fit_torch():
    shapes = {
        "weight_ih_l0": (12, 4),
        "weight_hh_l0": (3, 12),
        "bias_ih_l0": (12,),
        "bias_hh_l0": (12, 1),
        "weight_ih_l1": (12, 6),
        "weight_hh_l1": (12, 3),
        "bias_ih_l1": (12,),
        "weight_hr_l1": (3, 3),
    }
    with pytest.raises(ValueError) as error:
        recurrent_from_torch(
            {f"a.{k}": np.zeros(s) for k, s in shapes.items()}, LSTM(3), prefix="a."
        )
    assert str(error.value).splitlines() == [
        "these are not the weights of LSTM(3):",
        "name            expected  found",
        "a.weight_hh_l0  [12, 3]   [3, 12]",
        "a.bias_hh_l0    [12]      [12, 1]",
        "a.weight_ih_l1  [12, 3]   [12, 6]",
        "a.bias_hh_l1    [12]      nothing",
        "a.weight_hr_l1  nothing   [3, 3]",
    ]
    with pytest.raises(ValueError) as error:
        kernels = {"weight_ih_l0": np.zeros(3), "weight_ih_l0_reverse": np.zeros((3, 5))}
        recurrent_from_torch(kernels, Elman(3))
    assert str(error.value).splitlines()[2:] == [
        "weight_ih_l0          [3, any]  [3]",
        "weight_hh_l0          [3, 3]    nothing",
        "weight_hh_l0_reverse  [3, 3]    nothing",
    ]


def test_table_of_what_does_not_fit_here():
    params = recurrent_from_torch(part(golden("gru"), "state"), GRU(3))
    del params["layer_0"]["recurrent_bias"]
    params["layer_1_reverse"]["kernel"] = np.zeros((3, 9))
    params["layer_1"]["extra"] = np.zeros(())
    with pytest.raises(ValueError) as error:
        recurrent_to_torch(params, GRU(3))
    assert str(error.value).splitlines() == [
        "these are not the weights of GRU(3):",
        "name                    expected  found",
        "layer_0/recurrent_bias  [3]       nothing",
        "layer_1_reverse/kernel  [6, 9]    [3, 9]",
        "layer_1/extra           nothing   []",
    ]
    with pytest.raises(ValueError, match="kernel +.any, 9. +nothing(\n.*)*params/layer_0/kernel"):
        recurrent_to_torch({"params": params}, GRU(3))


class Subclass(LSTM):
    """A cell of someone else's."""


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Subclass(3), "cell must be one of Elman, LSTM, GRU, got Subclass"),
        (LSTM(3, peepholes=True), "LSTM.peepholes must be False as in torch, got True"),
        (LSTM(3, coupled=True), "LSTM.coupled must be False as in torch, got True"),
        (LSTM(3, layer_norm=True), "LSTM.layer_norm must be False as in torch, got True"),
        (Elman(3, layer_norm=True), "Elman.layer_norm must be False as in torch, got True"),
        (GRU(3, reset="before"), "GRU.reset must be 'after' as in torch, got 'before'"),
    ],
)
def test_a_cell_that_torch_has_not(cell, message):
    for convert in (recurrent_from_torch, recurrent_to_torch):
        with pytest.raises(ValueError) as error:
            convert({}, cell)
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("lstm", LSTM(3, forget_bias=0.0, chrono=9)),
        ("rnn_relu", Elman(3, nn.relu, identity=1.0, kernel_std=0.001)),
    ],
)
def test_what_weights_start_from_does_not_matter(kind, cell):
    state = part(golden(kind), "state")
    params = recurrent_from_torch(state, cell)
    jax.tree.map(np.testing.assert_array_equal, params, recurrent_from_torch(state, CELLS[kind]))
    assert recurrent_to_torch(params, cell).keys() == state.keys()
