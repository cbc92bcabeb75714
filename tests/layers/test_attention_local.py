"""Local attention against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.attention_local import LocalAttention
from nets.layers.attention_scores import General
from tests.support import plain_attention
from tests.support.checks import assert_close, assert_gradient, jit
from tests.support.plain_attention import LENGTHS, MASK


def case(features):
    rng = np.random.default_rng(0)
    params = {"score": {"key": plain_attention.dense(rng, 4, 3)}}
    if features:
        params |= {
            "hidden": plain_attention.dense(rng, 3, features),
            "v": plain_attention.dense(rng, features, 1),
        }
    return LocalAttention(General(3, dtype=None), 1, features, dtype=None), params, rng


def positions(params, query):
    """The paper's p of each query, [B, Q]."""
    expected = np.zeros(query.shape[:2])
    for b, q in np.ndindex(*expected.shape):
        logit = np.tanh(query[b, q] @ params["hidden"]["kernel"]) @ params["v"]["kernel"][:, 0]
        expected[b, q] = LENGTHS[b] * plain_attention.sigmoid(logit)
    return expected


def weights_of(params, query, memory, position, window, predicted):
    kernel = params["score"]["key"]["kernel"]
    scores = plain_attention.scores_of(lambda q, m: q @ kernel.T @ m, query, memory)
    expected = np.zeros_like(scores)
    for b, q in np.ndindex(*expected.shape[:2]):
        p = position[b, q]
        keys = [k for k in range(LENGTHS[b]) if p - window <= k <= p + window]
        expected[b, q] = plain_attention.softmax(scores[b, q], keys)
        if predicted:
            for k in keys:
                expected[b, q, k] *= np.exp(-((k - p) ** 2) / (2 * (window / 2) ** 2))
    return expected


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("features", [None, 6])
def test_it_equals_loops(window, features):
    """Steps past a row's end, where the window is empty, among them."""
    model, params, rng = case(features)
    model = model.clone(window=window)
    query, memory, values = plain_attention.random_inputs(rng, 3, 4)
    if features:
        position, told = positions(params, query), None
    else:
        position = told = np.array([[0, 1, 4, 6], [0, 2, 4, 3], [9, 0, 2, 1]])
    want = weights_of(params, query, memory, position, window, bool(features))
    assert features or not want[2, 0].any()
    got = plain_attention.whole(model, params, query, memory, values, MASK, told)
    assert_close(got, (plain_attention.contexts_of(want, values), want))
    one = None if told is None else told[:, 1]
    step = plain_attention.whole(model, params, query[:, 1], memory, values, MASK, one)
    assert_close(step, jax.tree.map(lambda a: a[:, 1], got))
    if not features:  # a softmax in the window, so that nothing is lost
        np.testing.assert_allclose(got[1].sum(-1), (want > 0).any(-1).astype(float), rtol=1e-12)


def test_the_predicted_position_learns():
    """The gradient, through the Gaussian alone, against a difference of the loops' values."""
    model, params, rng = case(6)
    query, memory, values = plain_attention.random_inputs(rng, 3, 4)
    model, towards = model.clone(window=2), rng.normal(size=(3, 4, 2))

    def value(params):
        want = weights_of(params, query, memory, positions(params, query), 2, True)
        return (plain_attention.contexts_of(want, values) * towards).sum()

    def loss(params):

        def run(m):
            return m(query, m.project(memory), values, MASK)[0]

        return (model.apply({"params": params}, method=run) * towards).sum()

    with jax.enable_x64(True):
        slopes = jax.tree.map(np.asarray, jit(jax.grad(loss))(params))
    assert np.abs(slopes["hidden"]["kernel"]).min() > 0
    assert_gradient((slopes,), value, (params,))


@pytest.mark.parametrize("features", [None, 6])
def test_rows_of_no_key_are_zeros(features):
    model, params, rng = case(features)
    model = model.clone(score=General(3), dtype=jnp.float32)
    query, memory, values = (np.float32(a) for a in plain_attention.random_inputs(rng, 3, 4))
    position = None if features else jnp.zeros((3, 4))

    def loss(params, memory):

        def run(m):
            return m(query, m.project(memory), values, jnp.zeros((3, 5), bool), position)

        context, weights = model.apply({"params": params}, method=run)
        return context.sum() + jnp.square(weights).sum()

    got = jit(jax.value_and_grad(loss, (0, 1)))(params, memory)
    assert all(not np.asarray(a).any() for a in jax.tree.leaves(got))


@pytest.mark.parametrize(
    ("options", "position", "message"),
    [
        ({"window": 0}, jnp.zeros(3), "window must be positive, got 0"),
        ({"window": -1, "features": 2}, None, "window must be positive, got -1"),
        ({"window": 1}, None, "features=None and no position"),
        ({"window": 1, "features": 2}, jnp.zeros(3), "features=2 and a position"),
        ({"window": 1}, jnp.zeros(2), r"position must have shape \[3\], got \[2\]"),
    ],
)
def test_what_is_refused(options, position, message):
    model = LocalAttention(General(3), **options)
    query, keys = jnp.zeros((3, 3)), jnp.zeros((3, 5, 3))
    with pytest.raises(ValueError, match=message):
        model.init(jax.random.key(0), query, keys, keys, None, position)
