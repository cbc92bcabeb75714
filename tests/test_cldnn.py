"""CLDNN and its parts: padding, sizes by hand, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.cldnn import CLDNN

PARTS = {
    "DNN": {"context": 2, "conv": (), "lstm": (), "dense": (8, 6)},
    "CNN": {"conv": (3, 4), "linear": 5, "lstm": (), "dense": (6,)},
    "LSTM": {"conv": (), "lstm": (4, 3), "dense": ()},
    "CLDNN": {"conv": (3, 4), "linear": 5, "lstm": (4,), "dense": (6,)},
}


def sounds(samples=2000):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, samples)), jnp.float32)
    return x, jnp.array([samples, 1200])


@pytest.mark.parametrize("name", PARTS)
def test_padding_and_loudness_change_nothing(name):
    model = CLDNN(num_classes=3, bands=9, **PARTS[name])
    x, lengths = sounds()
    params = jax.jit(functools.partial(model.init, train=False))(
        jax.random.key(0), x, lengths=lengths
    )
    params = jax.tree.map(lambda a: a + 0.1, params)  # biases too
    apply = jax.jit(functools.partial(model.apply, train=False))
    logits = apply(params, x, lengths=lengths)
    alone = apply(params, x[1:, :1200], lengths=lengths[1:])
    np.testing.assert_allclose(alone, logits[1:], rtol=1e-4, atol=1e-5)
    louder = apply(params, 3 * x, lengths=lengths)
    np.testing.assert_allclose(louder, logits, rtol=1e-3, atol=1e-4)
    longer = jnp.pad(x, ((0, 0), (0, 900)), constant_values=7.0)
    padded = apply(params, longer, lengths=lengths)
    np.testing.assert_allclose(padded, logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("DNN", 45 * 8 + 8 + 8 * 6 + 6 + 6 * 3 + 3),
        ("CNN", 81 * 3 + 3 + 9 * 3 * 4 + 4 + 12 * 5 + 5 + 5 * 6 + 6 + 6 * 3 + 3),
        ("LSTM", 9 * 16 + 4 * 16 + 16 + 4 * 12 + 3 * 12 + 12 + 3 * 3 + 3),
        ("CLDNN", 81 * 3 + 3 + 9 * 3 * 4 + 4 + 12 * 5 + 5 + 5 * 16 + 4 * 16 + 16 + 4 * 6 + 6 + 21),
    ],
)
def test_parameters_are_counted_by_hand(name, want):
    model = CLDNN(num_classes=3, bands=9, **PARTS[name])
    x, lengths = sounds()
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, lengths=lengths, train=False))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == want


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conv": (3,)}, r"conv must be empty or the maps of two layers, got \(3,\)"),
        ({"context": 2}, "context must be 0 with conv, which has its own, got 2"),
        ({"context": -1, "conv": ()}, "context must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    x, lengths = sounds()
    with pytest.raises(ValueError, match=message):
        CLDNN(num_classes=3, **fields).init(jax.random.key(0), x, lengths=lengths, train=False)
