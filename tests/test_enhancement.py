"""Enhancement: masks that pass or stop everything, streams, look-ahead by gradient, sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.elman import Elman
from nets.enhancement import Enhancer, RecurrentMask, SplicedMLP
from nets.gru import GRU
from nets.lstm import LSTM

NETWORKS = {
    "frames": (SplicedMLP((8,)), 0),
    "features": (SplicedMLP((8,), features=2), 2),
    "labels": (SplicedMLP((8,), labels=2), 2),
    "both": (SplicedMLP((8,), features=1, labels=2), 3),
    "forward": (RecurrentMask(Elman(4), layers=2), 0),
    "ahead": (RecurrentMask(LSTM(4), bidirectional=True, lookahead=3), 3),
    "two layers ahead": (RecurrentMask(GRU(4), layers=2, bidirectional=True, lookahead=1), 2),
}


def noise(*shape, seed=0):
    return jnp.asarray(0.1 * np.random.default_rng(seed).normal(size=shape), jnp.float32)


def started(network, samples=300, window=32, hop=16):
    """A model and parameters without zeros, in which every estimate counts."""
    model = Enhancer(network, window, hop)
    init = jax.jit(functools.partial(model.init, train=False))
    params, rng = init(jax.random.key(0), noise(2, samples)), np.random.default_rng(1)
    return model, jax.tree.map(lambda a: a + np.float32(0.3 * rng.normal(size=a.shape)), params)


def run(model, **options):
    return jax.jit(functools.partial(model.apply, **options))


@pytest.mark.parametrize(
    ("name", "samples"), [*((name, 150) for name in NETWORKS), ("both", 17), ("ahead", 17)]
)
def test_a_stream_writes_what_the_whole_does(name, samples):
    network, delay = NETWORKS[name]
    model, params = started(network)
    x = noise(2, samples, seed=3)
    whole = run(model, train=False)(params, x)
    stream = run(model, method="stream")(params, x)
    np.testing.assert_allclose(stream, whole, atol=2e-6)
    assert model.latency == 32 + 16 * delay
    assert np.abs(whole - x).max() > 1e-2  # it does something


@pytest.mark.parametrize("name", ["both", "ahead"])
def test_no_output_reads_beyond_the_latency(name):
    """The gradient of output n by input n + latency and later is 0, by some before it is not."""
    network, _ = NETWORKS[name]
    model, params = started(network)
    n = 16 * 8
    output = run(model, train=False)
    gradient = jax.jit(jax.grad(lambda x: output(params, x)[0, n]))(noise(1, 300))[0]
    reach = np.flatnonzero(np.abs(gradient) > 0).max()
    assert n < reach < n + model.latency


@pytest.mark.parametrize(("bias", "gain"), [(30.0, 1.0), (-30.0, 0.0), (0.0, 0.5)])
def test_a_constant_mask_scales_the_sound(bias, gain):
    model, params = started(SplicedMLP((8,), labels=1))
    params = jax.tree.map(jnp.zeros_like, params)
    params["params"]["network"]["output"]["bias"] += bias
    x = noise(2, 300)
    np.testing.assert_allclose(run(model, train=False)(params, x), gain * x, atol=1e-6)


def test_parameters_are_counted_by_hand():
    """17 frequencies of a window of 32; three frames read, five written; the LSTM both ways."""
    for network, want in (
        (SplicedMLP((8, 6), 1, 2), 51 * 8 + 8 + 8 * 6 + 6 + 6 * 85 + 85),
        (
            RecurrentMask(LSTM(4), bidirectional=True, lookahead=2),
            2 * (17 * 16 + 4 * 16 + 16) + 8 * 17 + 17,
        ),
    ):
        model = Enhancer(network, 32, 16)
        shapes = jax.eval_shape(
            lambda model=model: model.init(jax.random.key(0), jnp.zeros((1, 99)), train=False)
        )
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == want


def test_what_cannot_be_is_refused():
    x = jnp.zeros((1, 99))
    for window, hop in ((32, 12), (32, 32), (32, 0)):
        with pytest.raises(ValueError, match=f"hop must divide the window of 32 .* got {hop}"):
            Enhancer(SplicedMLP((4,)), window, hop).init(jax.random.key(0), x, train=False)
    with pytest.raises(ValueError, match="features must be at least 0, got -1"):
        Enhancer(SplicedMLP((4,), features=-1)).init(jax.random.key(0), x, train=False)
    with pytest.raises(ValueError, match="no streaming form"):
        _ = Enhancer(RecurrentMask(LSTM(4), bidirectional=True)).latency
