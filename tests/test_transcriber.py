"""Transcribers: lengths, streams that equal the whole, what is read by when."""

import functools

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
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, samples)), jnp.float32)
    lengths = jnp.array([samples, 500])
    params = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), x, lengths)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda a: a + np.float32(rng.normal(size=a.shape)), params)
    return model, params, x, lengths


def run(model, **options):
    return jax.jit(functools.partial(model.apply, **options))


@pytest.mark.parametrize("name", FIELDS)
def test_padding_changes_nothing(name):
    model, params, x, lengths = started(name)
    logits, steps = run(model, train=False)(params, x, lengths)
    assert steps.tolist() == [(n - 64) // 32 // 2 + ((n - 64) // 32 % 2) for n in (900, 500)]
    alone, count = run(model, train=False)(params, x[1:, :500], lengths[1:])
    assert count[0] == steps[1] == alone.shape[1]
    np.testing.assert_allclose(alone[0], logits[1, : steps[1]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["forward", "ahead"])
def test_a_stream_writes_what_the_whole_does(name):
    model, params, x, _ = started(name)
    lengths = jnp.full(2, 900)
    logits, steps = run(model, train=False)(params, x, lengths)
    streamed, written = run(model, method="stream")(params, x)
    np.testing.assert_allclose(streamed, logits, rtol=1e-4, atol=1e-5)
    whole = ctc.greedy(logits, steps)
    for b in range(2):
        symbols = written[b][written[b] > 0].tolist()
        assert symbols == whole.symbols[b, : whole.lengths[b]].tolist() and symbols


@pytest.mark.parametrize("name", FIELDS)
def test_no_symbol_needs_more_samples_than_stated(name):
    model, params, x, lengths = started(name)
    x, lengths = x[:1], lengths[:1]
    step = 5
    needed = int(model.samples_needed(jnp.array([[step]]), lengths)[0, 0])
    logits = run(model, train=False)
    gradient = jax.jit(jax.grad(lambda x: logits(params, x, lengths)[0][0, step].sum()))(x)[0]
    last = int(np.flatnonzero(np.abs(gradient) > 0).max())
    unread = 32 + (64 if name == "both" else 0)  # the last samples are less than a step
    assert needed - unread < last + 1 <= needed
    assert needed == {"forward": 416 + 0, "ahead": 544, "both": 900}[name]


def test_a_step_holds_so_many_frames_of_mel_bands():
    model, params, x, lengths = started("forward")
    bands = log_mel(x, 8000, 64, 32, 6)
    assert bands.shape[1] == 27
    features = model.apply(params, x, method="_features")
    np.testing.assert_allclose(features[:, 3], bands[:, 6:8].reshape(2, -1) / 5, rtol=1e-5)
    with pytest.raises(ValueError, match="sounds must have at least 96 samples, got 80"):
        model.init(jax.random.key(0), x[:, :80], lengths, train=False)
