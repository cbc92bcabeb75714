"""Soft attention and its scores against plain loops; masks and dtypes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.attention import (
    Attention,
    attend,
    coverage,
    masked_softmax,
    weighted_sum,
)
from nets.layers.attention_scores import Additive, Dot, General
from tests.support import plain_attention
from tests.support.checks import assert_close, jit
from tests.support.plain_attention import BATCH, KEYS, LENGTHS, MASK, QUERIES


def additive(params, q, m, covered=0.0):
    z = q @ params["query"]["kernel"] + m @ params["key"]["kernel"] + params["key"].get("bias", 0)
    z = z + covered * params.get("coverage", {"kernel": np.zeros((1, 1))})["kernel"][0]
    return params["v"][:, 0] @ np.tanh(z)


def case(name):
    """A score, random parameters, query, memory and values for it, and the score of one pair."""
    rng = np.random.default_rng(0)
    if name == "additive":
        params = {
            "query": plain_attention.dense(rng, 3, 6),
            "key": plain_attention.dense(rng, 4, 6),
        }
        params["v"] = rng.normal(size=(6, 1))
        return Additive(6, dtype=None), params, plain_attention.random_inputs(rng, 3, 4), additive
    if name == "general":
        params = {"key": plain_attention.dense(rng, 4, 3)}

        def by_pair(p, q, m):
            return q @ p["key"]["kernel"].T @ m

        return General(3, dtype=None), params, plain_attention.random_inputs(rng, 3, 4), by_pair
    scale = {"dot": 1, "scaled": 0.5}[name]

    def by_pair(p, q, m):
        return scale * sum(a * b for a, b in zip(q, m, strict=True))

    return Dot(name == "scaled", dtype=None), {}, plain_attention.random_inputs(rng, 4, 4), by_pair


@pytest.mark.parametrize("name", ["additive", "general", "dot", "scaled"])
@pytest.mark.parametrize("masked", [False, True])
def test_it_equals_loops(name, masked):
    score, params, arrays, by_pair = case(name)
    query, memory, values = arrays
    mask = MASK if masked else np.ones((BATCH, KEYS), bool)
    weights = plain_attention.weights_of(
        plain_attention.scores_of(functools.partial(by_pair, params), query, memory), mask
    )
    model = Attention(score)
    got = plain_attention.whole(model, {"score": params}, *arrays, MASK if masked else None)
    assert_close(got, (plain_attention.contexts_of(weights, values), weights))
    one = plain_attention.whole(
        model, {"score": params}, query[:, 2], memory, values, jnp.asarray(mask)
    )
    assert_close(one, jax.tree.map(lambda a: a[:, 2], got))


def test_additive_score_with_coverage_equals_loops():
    rng = np.random.default_rng(1)
    _, params, (query, memory, values), _ = case("additive")
    params["coverage"] = plain_attention.dense(rng, 1, 6)
    params["key"]["bias"] = rng.normal(size=6)
    covered = rng.uniform(size=(BATCH, QUERIES, KEYS))
    scores = np.zeros(covered.shape)
    for b, q, k in np.ndindex(*scores.shape):
        scores[b, q, k] = additive(params, query[b, q], memory[b, k], covered[b, q, k])
    weights = plain_attention.weights_of(scores)
    model = Attention(Additive(6, use_bias=True, dtype=None))
    arrays = query, memory, values, MASK
    got = plain_attention.whole(model, {"score": params}, *arrays, coverage=covered)
    assert_close(got, (plain_attention.contexts_of(weights, values), weights))


@pytest.mark.parametrize("name", ["additive", "general"])
def test_the_memory_is_projected_outside_the_scan(name):
    """Steps give what all at once do, and no step reads the memory or what it is projected by."""
    score, params, arrays, _ = case(name)
    model = Attention(score.clone(dtype=jnp.float32))

    def decode(params, query, memory, values):
        variables = {"params": {"score": params}}
        keys = model.apply(variables, memory, method="project")

        def step(_, q):
            return (None, model.apply(variables, q, keys, values, MASK))

        return jax.lax.scan(step, None, query.swapaxes(0, 1))[1]

    inputs = jax.tree.map(np.float32, (params, *arrays))
    steps = jax.tree.map(lambda a: a.swapaxes(0, 1), jit(decode)(*inputs))
    assert_close(steps, plain_attention.whole(model, {"score": params}, *arrays, MASK), 1e-5)
    (scan,) = (e for e in jax.make_jaxpr(decode)(*inputs).eqns if e.primitive.name == "scan")
    read = {v.aval.shape for v in scan.invars}
    query, memory, _ = arrays
    assert (QUERIES, BATCH, query.shape[-1]) in read
    assert memory.shape not in read and params["key"]["kernel"].shape not in read


def test_weights_sum_to_one_and_contexts_lie_between_the_values():
    rng = np.random.default_rng(0)
    scores = np.float32(9 * rng.normal(size=(BATCH, QUERIES, KEYS)))
    values = np.float32(rng.normal(size=(BATCH, KEYS, 7)))
    context, weights = attend(scores, values, jnp.asarray(MASK))
    np.testing.assert_array_equal(weights > 0, np.repeat(MASK[:, None], QUERIES, 1))
    np.testing.assert_allclose(weights.sum(-1), np.ones((BATCH, QUERIES)), rtol=1e-6)
    for b, length in enumerate(LENGTHS):  # along each of many directions no further than a value
        along = rng.normal(size=(7, 100))
        reach = values[b, :length] @ along
        assert (context[b] @ along <= reach.max(0)[None] + 1e-5).all()
        assert (context[b] @ along >= reach.min(0)[None] - 1e-5).all()


def test_rows_of_no_key_are_zeros_and_so_are_gradients_of_masked_keys():
    rng = np.random.default_rng(0)
    # in row 1 a query that sees nothing, and a key that nothing sees
    allowed = [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1], [0, 1, 0, 0, 1]]
    mask = np.array([np.zeros((QUERIES, KEYS)), allowed], bool)
    query, memory, _ = (a[:2] for a in plain_attention.random_inputs(rng, 4, 4))
    towards = rng.normal(size=(2, QUERIES, 3))

    def run(query, scored, values):
        context, weights = attend(Dot()(query, scored), values, mask)
        return (context * towards).sum() + jnp.square(weights).sum(), (context, weights)

    values = rng.normal(size=(2, KEYS, 3))
    slopes, got = jit(jax.grad(run, (0, 1, 2), has_aux=True))(
        *map(np.float32, (query, memory, values))
    )
    for a in jax.tree.leaves((slopes, got)):
        assert np.isfinite(a).all() and not a[0].any()
    by_query, by_key, by_value = (np.abs(a[1]).sum(-1) > 0 for a in slopes)
    np.testing.assert_array_equal(by_query, mask[1].any(-1))
    np.testing.assert_array_equal(by_key, mask[1].any(0))
    np.testing.assert_array_equal(by_value, mask[1].any(0))
    np.testing.assert_array_equal(got[0][1].any(-1), mask[1].any(-1))


def test_scores_of_masked_keys_may_be_anything():
    """NaN among them; and nothing on the way is NaN, not even for a row of no key."""
    scores = jnp.array([[1.0, jnp.nan, 2.0, jnp.inf], [3.0, jnp.nan, 0.0, 1.0]])
    mask = jnp.array([[True, False, True, False], [False] * 4])
    weights, pullback = jax.vjp(lambda s: masked_softmax(s, mask), scores)
    p = 1 / (1 + np.exp(1.0))
    np.testing.assert_allclose(weights, [[p, 0, 1 - p, 0], [0] * 4], rtol=1e-6)
    (slopes,) = pullback(jnp.eye(4)[:2])
    want = p * (1 - p)
    np.testing.assert_allclose(slopes, [[want, 0, -want, 0], [0] * 4], rtol=1e-6)
    with jax.debug_nans(True):
        masked_softmax(jnp.ones((2, 4)), mask)


def test_each_masked_key_by_itself_has_no_gradient():
    rng = np.random.default_rng(0)
    score, params, (query, memory, values), _ = case("additive")
    model = Attention(score.clone(dtype=jnp.float32))

    def context(memory):

        def run(model):
            return model(query, model.project(memory), memory, MASK)[0]

        return model.apply({"params": {"score": params}}, method=run)

    slopes = jit(jax.grad(lambda m: (context(m) * rng.normal(size=(BATCH, QUERIES, 4))).sum()))(
        np.float32(memory)
    )
    np.testing.assert_array_equal(np.abs(slopes).sum(-1) > 0, MASK)


@pytest.mark.parametrize("score", [Dot(dtype=jnp.bfloat16), Additive(3, dtype=jnp.bfloat16)])
def test_types(score):
    """Scores and weights are float32 where all else is bfloat16."""
    model, half = Attention(score), jax.ShapeDtypeStruct((2, 6, 4), jnp.bfloat16)

    def run(model, x):
        keys = model.project(x)
        return keys, model.score(x, keys), model(x, keys, x)

    run = functools.partial(model.init_with_output, jax.random.key(0), method=run)
    (keys, scores, (context, weights)), params = jax.eval_shape(run, half)
    assert keys.dtype == context.dtype == jnp.bfloat16
    assert scores.dtype == weights.dtype == jnp.float32
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(params))


def test_bfloat16_scores_make_float32_weights():
    """300 equal scores: in bfloat16 the weights would not sum to one within 1e-3."""
    context, weights = attend(jnp.ones((1, 300), jnp.bfloat16), jnp.ones((1, 300, 1)))
    np.testing.assert_allclose(weights, np.full((1, 300), 1 / 300), rtol=1e-6)
    np.testing.assert_allclose(context, [[1.0]], rtol=1e-5)


def test_coverage_equals_loops():
    rng = np.random.default_rng(0)
    weights = np.float32(rng.dirichlet(np.ones(KEYS), size=(BATCH, QUERIES)))
    covered = np.zeros(weights.shape)
    for b, t, k in np.ndindex(*weights.shape):
        covered[b, t, k] = sum(weights[b, s, k] for s in range(t))
    got = coverage(weights)
    assert_close(got, covered, 1e-6)
    assert not got[:, 0].any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dot()(jnp.ones((2, 3)), jnp.ones((2, 5, 4))), r"got \[2, 3\] and \[2, 5, 4\]"),
        (lambda: Dot()(jnp.ones((3, 4)), jnp.ones((2, 5, 4))), r"got \[3, 4\] and \[2, 5, 4\]"),
        (
            lambda: attend(jnp.ones((2, 5)), jnp.ones((2, 4, 3))),
            r"values .* = \[2, 5\], got shape \[2, 4, 3\]",
        ),
        (lambda: weighted_sum(jnp.ones((2, 5)), jnp.ones((2, 5))), r"values .* got shape \[2, 5\]"),
        (
            lambda: masked_softmax(jnp.ones((2, 3, 5)), jnp.ones((2, 4), bool)),
            r"mask must have shape \[2, 5\] or \[2, 3, 5\].* got \[2, 4\]",
        ),
        (
            lambda: Additive(3).init(
                jax.random.key(0), jnp.ones((2, 3)), jnp.ones((2, 5, 3)), jnp.ones((2, 4))
            ),
            r"coverage must have shape \[2, 5\].* got \[2, 4\]",
        ),
    ],
)
def test_bad_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
