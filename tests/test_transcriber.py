"""Transcribers: lengths, streams that equal the whole, what is read by when."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import ctc
from nets.layers.spectrogram import log_mel
from nets.lstm import LSTM
from nets.transcriber import Transcriber

FIELDS = {
    "forward": {"layers": 2},
    "ahead": {"bidirectional": True, "lookahead": 2},
    "both": {"bidirectional": True},
}
SMALL = {"num_classes": 5, "cell": LSTM(4), "window": 64, "hop": 32, "bands": 6, "stack": 2}


def started(name, samples=900):
    model = Transcriber(**SMALL, **FIELDS[name])
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, samples)), jnp.float32)
    lengths = jnp.array([samples, 500, 100])
    params = model.init(jax.random.key(0), x, lengths, train=False)
    keys = iter(jax.random.split(jax.random.key(1), 50))
    params = jax.tree.map(lambda a: a + jax.random.normal(next(keys), a.shape), params)
    return model, params, x, lengths


@pytest.mark.parametrize("name", FIELDS)
def test_padding_changes_nothing(name):
    model, params, x, lengths = started(name)
    logits, steps = model.apply(params, x, lengths, train=False)
    assert steps.tolist() == [(n - 64) // 32 // 2 + ((n - 64) // 32 % 2) for n in (900, 500, 100)]
    for b in range(3):
        alone, count = model.apply(
            params, x[b : b + 1, : lengths[b]], lengths[b : b + 1], train=False
        )
        assert count[0] == steps[b] == alone.shape[1]
        np.testing.assert_allclose(alone[0], logits[b, : steps[b]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["forward", "ahead"])
def test_a_stream_writes_what_the_whole_does(name):
    model, params, x, _ = started(name)
    lengths = jnp.full(3, 900)
    logits, steps = model.apply(params, x, lengths, train=False)
    streamed, written = model.apply(params, x, method="stream")
    np.testing.assert_allclose(streamed, logits, rtol=1e-4, atol=1e-5)
    whole = ctc.greedy(logits, steps)
    for b in range(3):
        symbols = written[b][written[b] > 0].tolist()
        assert symbols == whole.symbols[b, : whole.lengths[b]].tolist() and symbols


@pytest.mark.parametrize("name", FIELDS)
def test_no_symbol_needs_more_samples_than_stated(name):
    model, params, x, lengths = started(name)
    x, lengths = x[:1], lengths[:1]
    step = 5
    needed = int(model.samples_needed(jnp.array([[step]]), lengths)[0, 0])
    gradient = jax.grad(lambda x: model.apply(params, x, lengths, train=False)[0][0, step].sum())
    last = int(np.flatnonzero(np.abs(gradient(x)[0]) > 0).max())
    unread = 32 + (64 if name == "both" else 0)  # the last samples are less than a step
    assert needed - unread < last + 1 <= needed
    assert needed == {"forward": 416 + 0, "ahead": 544, "both": 900}[name]


def test_a_step_holds_so_many_frames_of_mel_bands():
    model, params, x, lengths = started("forward")
    bands = log_mel(x, 8000, 64, 32, 6)
    assert bands.shape[1] == 27
    features = model.apply(params, x, method="_features")
    np.testing.assert_allclose(features[:, 3], bands[:, 6:8].reshape(3, -1) / 5, rtol=1e-5)
    with pytest.raises(ValueError, match="sounds must have at least 96 samples, got 80"):
        model.init(jax.random.key(0), x[:, :80], lengths, train=False)
