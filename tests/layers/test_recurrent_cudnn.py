"""cuDNN's LSTM is called with the right weights, carries and lengths.

Without a GPU it is replaced by jax's own reference for it, which unpacks cuDNN's weights.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from nets.gru import GRU
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM

BATCH, STEPS, INPUTS, UNITS = 3, 5, 4, 6


def reference(x, h_0, c_0, weights, seq_lengths, **sizes):
    assert seq_lengths.dtype == jnp.int32
    parts = rnn.unpack_lstm_weights(
        weights, *(sizes[k] for k in ("input_size", "hidden_size", "num_layers", "bidirectional"))
    )
    y, h, c = rnn.lstm_ref(x, h_0, c_0, *parts, seq_lengths, *sizes.values())
    within = jnp.arange(x.shape[1])[None] < seq_lengths[:, None]
    return jnp.where(within[..., None], y, 0), h, c


@pytest.mark.parametrize("lengths", [None, (5, 2, 0)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_the_scan(monkeypatch, lengths, bidirectional):
    monkeypatch.setattr(rnn, "lstm", reference)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(BATCH, STEPS, INPUTS)), jnp.float32)
    lengths = None if lengths is None else jnp.array(lengths)
    models = {
        backend: Recurrent(LSTM(UNITS), layers=2, bidirectional=bidirectional, backend=backend)
        for backend in ("scan", "cudnn")
    }
    params = jax.jit(models["scan"].init)(jax.random.key(0), x)
    carry = jax.tree.map(
        lambda a: jnp.asarray(rng.normal(size=a.shape), a.dtype),
        models["scan"].initial_carry((BATCH, INPUTS)),
    )

    def loss(params, carry, x, model):
        result = model.apply(params, x, carry, lengths=lengths)
        return sum(jnp.sum(jnp.sin(a)) for a in jax.tree.leaves(result)), result

    both = [
        jax.jit(jax.grad(functools.partial(loss, model=model), (0, 1, 2), has_aux=True))(
            params, carry, x
        )
        for model in models.values()
    ]
    for a, b in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "platform", "backend", "reason"),
    [
        (Recurrent(LSTM(4)), "cpu", "fused", "no GPU"),
        (Recurrent(LSTM(4)), "gpu", "cudnn", None),
        (Recurrent(LSTM(4, peepholes=True)), "gpu", "fused", "does not support this LSTM"),
        (Recurrent(LSTM(4, projection=2)), "gpu", "scan", "does not support this LSTM"),
        (Recurrent(GRU(4)), "gpu", "fused", "does not support this GRU"),
        (Recurrent(LSTM(4), dtype=jnp.bfloat16), "gpu", "fused", "float32"),
        (Recurrent(LSTM(4), zoneout=(0.1, 0.1)), "gpu", "fused", "zoneout"),
        (Recurrent(LSTM(4), chunk=2), "gpu", "fused", "chunk"),
        (Recurrent(LSTM(4), bidirectional=True, lookahead=1), "gpu", "fused", "lookahead"),
    ],
)
def test_auto_takes_the_first_that_can(monkeypatch, layer, platform, backend, reason):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    refusals = layer.refusals()
    assert next(name for name, why in refusals.items() if why is None) == backend
    assert reason is None or reason in refusals["cudnn"]
    if reason is None:
        assert "reset" in layer.refusals(resets=True)["cudnn"]
    demanded = layer.clone(backend="cudnn")
    if reason:
        with pytest.raises(ValueError, match=reason):
            demanded.init(jax.random.key(0), jnp.zeros((1, 2, 3)))
