"""`Recurrent` with a torch module's weights computes what the module does."""

import jax
import numpy as np
import pytest

from nets.interop.torch import recurrent_from_torch, recurrent_to_torch
from tests.interop.test_golden_recurrent import CELLS, assert_equals_torch, golden, part

torch = pytest.importorskip("torch")
from tests.interop.golden.make_recurrent import HIDDEN, INPUTS, MODULES, reference  # noqa: E402  (needs torch)


@pytest.mark.parametrize(
    ("kind", "layers", "bidirectional", "lengths", "options"),
    [
        ("rnn_tanh", 1, False, None, {"backend": "scan"}),
        ("rnn_tanh", 3, True, (4, 2), {"backend": "fused"}),
        ("rnn_relu", 1, True, None, {"backend": "fused"}),
        ("rnn_relu", 2, False, (1, 5), {"backend": "scan"}),
        ("lstm", 1, False, (1, 5), {"backend": "fused"}),
        ("lstm", 3, True, None, {"backend": "scan"}),
        ("lstm", 2, False, (4, 2), {"backend": "fused", "chunk": 2}),
        ("lstm_projection", 1, False, None, {"chunk": 2}),
        ("gru", 1, True, (4, 2), {"backend": "scan"}),
        ("gru", 3, False, None, {"backend": "fused"}),
    ],
)
def test_equals_torch(kind, layers, bidirectional, lengths, options):
    data = reference(kind, layers, bidirectional, lengths)
    assert_equals_torch(data, CELLS[kind], layers, bidirectional, **options)


def test_equals_torch_without_biases():
    assert_equals_torch(reference("gru", layers=1, bias=False), CELLS["gru"], layers=1)


@pytest.mark.parametrize("kind", CELLS)
def test_golden_is_what_the_script_makes(kind):
    made, kept = reference(kind), golden(kind)
    assert made.keys() == kept.keys()
    for name in made.keys() - {"torch"}:
        np.testing.assert_allclose(kept[name], made[name], rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", CELLS)
def test_torch_loads_and_computes_the_same(kind):
    module = MODULES[kind](
        input_size=INPUTS, hidden_size=HIDDEN, num_layers=2, bidirectional=True
    ).double()
    data = golden(kind)
    params = recurrent_from_torch(part(data, "state"), CELLS[kind])
    state_dict = recurrent_to_torch(params, CELLS[kind])
    module.load_state_dict({k: torch.from_numpy(a) for k, a in state_dict.items()})
    x = torch.from_numpy(data["input"][1:].swapaxes(0, 1))  # the row without padding
    states = [torch.from_numpy(data[k][:, 1:]) for k in ("h_0", "c_0") if k in data]
    output, _ = module(x, tuple(states) if len(states) > 1 else states[0])
    np.testing.assert_allclose(output.detach()[:, 0], data["output"][1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_tensors_keep_their_type(dtype):
    module = torch.nn.LSTM(INPUTS, HIDDEN).to(getattr(torch, dtype))
    params = recurrent_from_torch(dict(module.named_parameters()), CELLS["lstm"])
    assert {str(a.dtype) for a in jax.tree.leaves(params)} == {dtype}
    kernel = params["layer_0"]["kernel"].astype(np.float64)
    np.testing.assert_array_equal(kernel, module.weight_ih_l0.detach().double().T)
    with torch.no_grad():
        module.weight_ih_l0.zero_()
    assert params["layer_0"]["kernel"].any()  # a copy
