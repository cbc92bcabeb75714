"""The prediction network without peepholes against torch's LSTM layers with the same weights."""

import jax
import numpy as np
import pytest

from nets.handwriting import Handwriting
from nets.lstm import LSTM

torch = pytest.importorskip("torch")


def test_skip_connections_equal_torchs_layers():
    model = Handwriting(LSTM(6, clip=None), layers=3, mixtures=2, clip=None)
    x = np.random.default_rng(0).normal(size=(2, 9, 3)).astype(np.float32)
    variables = model.init(jax.random.key(1), x, train=False)
    params, hidden = jax.tree.map(np.asarray, variables["params"]), []
    inputs = torch.from_numpy(x)
    for i in range(3):
        weights = params[f"recurrent_{i}"]["layer_0"]
        layer = torch.nn.LSTM(weights["kernel"].shape[0], 6, batch_first=True)
        order = np.r_[0:12, 12:18, 18:24]  # i f g o, as torch's
        with torch.no_grad():
            layer.weight_ih_l0.copy_(torch.from_numpy(weights["kernel"].T[order].copy()))
            layer.weight_hh_l0.copy_(torch.from_numpy(weights["recurrent_kernel"].T[order].copy()))
            layer.bias_ih_l0.copy_(torch.from_numpy(weights["bias"][order]))
            layer.bias_hh_l0.zero_()
            h, _ = layer(torch.cat([inputs, *hidden[-1:]], -1))
        hidden.append(h)
    output = params["output"]
    expected = torch.cat(hidden, -1).numpy() @ output["kernel"] + output["bias"]
    y, _ = model.apply(variables, x, train=False)
    np.testing.assert_allclose(y, expected, atol=1e-5)
