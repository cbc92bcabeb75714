"""Monotonic attention against plain loops, and against the process whose mean it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.attention_monotonic import MonotonicAttention, monotonic, monotonic_step
from nets.layers.attention_scores import Dot
from tests.support import plain_attention
from tests.support.checks import assert_close, assert_gradient, jit
from tests.support.plain_attention import BATCH, KEYS, MASK, QUERIES


def step_by_loops(chosen, previous):
    """Raffel et al. 2017, equation 9: over where it began, a product over what it passed."""
    weights = np.zeros(len(chosen))
    for j in range(len(chosen)):
        for k in range(j + 1):
            passed = 1.0
            for between in range(k, j):
                passed *= 1 - chosen[between]
            weights[j] += chosen[j] * previous[k] * passed
    return weights


def all_by_loops(chosen, previous):
    expected = np.zeros(chosen.shape)
    for b in range(len(chosen)):
        before = previous[b]
        for q in range(chosen.shape[1]):
            before = expected[b, q] = step_by_loops(chosen[b, q], before)
    return expected


def case():
    rng = np.random.default_rng(0)
    chosen = rng.uniform(size=(BATCH, QUERIES, KEYS))
    return chosen, rng.dirichlet(np.ones(KEYS), size=BATCH), rng.normal(size=chosen.shape)


def test_it_equals_loops_and_so_does_its_gradient():
    chosen, previous, towards = case()
    with jax.enable_x64(True):

        def loss(c, p):
            return (monotonic(c, p) * towards).sum()

        slopes = jax.tree.map(np.asarray, jit(jax.grad(loss, (0, 1)))(chosen, previous))
        assert_close(monotonic(chosen, previous), all_by_loops(chosen, previous))
        first = monotonic_step(jnp.asarray(chosen[:, 0]), previous)
        assert_close(first, all_by_loops(chosen, previous)[:, 0])

    def value(c, p):
        return (all_by_loops(c, p) * towards).sum()

    assert_gradient(slopes, value, (chosen, previous))


def test_certain_choices_do_not_underflow():
    """Keys chosen or passed for certain: the products of 1 - p are zero."""
    rng = np.random.default_rng(0)
    chosen = np.float32(plain_attention.sigmoid(rng.choice([-60.0, 0.0, 60.0], size=(2, 3, 60))))
    previous = np.float32(np.eye(60)[[0, 37]])

    def with_slopes(chosen):
        got, pullback = jax.vjp(lambda c: monotonic(c, previous), chosen)
        return got, pullback(jnp.ones_like(got))[0]

    got, slopes = map(np.asarray, jit(with_slopes)(chosen))
    for b in range(2):
        before = previous[b]
        for q in range(3):
            reached = 0.0
            for k in range(60):
                reached = (reached * (1 - chosen[b, q, k - 1]) if k else 0) + before[k]
                assert abs(got[b, q, k] - reached * chosen[b, q, k]) < 1e-6
            before = got[b, q]
    assert np.isfinite(slopes).all() and (got.sum(-1) <= 1 + 1e-5).all()


def test_it_is_the_mean_of_the_hard_process():
    """20,000 runs of it: go on from where it stopped, stop at a key with its probability."""
    rng, runs = np.random.default_rng(0), 20_000
    chosen = rng.uniform(0.1, 0.6, size=(1, 2, 4))
    counts, at = np.zeros((2, 4)), np.zeros(runs, int)  # a run past the end is at 4
    for q in range(2):
        stop, key = np.zeros(runs, bool), at.copy()
        for k in range(4):
            here = ~stop & (key == k)
            stops = here & (rng.random(runs) < chosen[0, q, k])
            counts[q, k] = stops.sum()
            stop |= stops
            key = np.where(here & ~stops, k + 1, key)
        at = key
    want = monotonic(jnp.asarray(chosen, jnp.float32), jnp.eye(4)[:1])[0]
    error = np.sqrt(want * (1 - want) / runs)
    assert (np.abs(counts / runs - want) < 4 * error).all()


@pytest.mark.parametrize("hard", [False, True])
def test_the_layer_equals_loops(hard):
    rng = np.random.default_rng(2)
    query, memory, values = plain_attention.random_inputs(rng, 4, 4)
    scores = plain_attention.scores_of(np.dot, query, memory) + 0.3
    chosen = np.where(MASK[:, None], scores > 0 if hard else plain_attention.sigmoid(scores), 0.0)
    first = np.eye(KEYS)[[0] * BATCH]
    want = all_by_loops(chosen, first)
    model, params = MonotonicAttention(Dot(dtype=None)), {"r": np.array(0.3)}
    got = plain_attention.whole(model, params, query, memory, values, MASK, hard=hard)
    assert_close(got, (plain_attention.contexts_of(want, values), want))
    assert (got[1].sum(-1) <= 1 + 1e-12).all() and (got[1] >= 0).all()
    state = {"previous": got[1][:, 1], "hard": hard}
    step = plain_attention.whole(model, params, query[:, 2], memory, values, MASK, **state)
    assert_close(step, jax.tree.map(lambda a: a[:, 2], got))
    none = plain_attention.whole(
        model, params, query, memory, values, np.zeros_like(MASK), hard=hard
    )
    assert not any(a.any() for a in none)
    if hard:  # one key at most, that of the query before or a later one
        assert set(np.unique(got[1])) == {0.0, 1.0} and (got[1].sum(-1) <= 1).all()
        for row in got[1]:
            places = [w.argmax() for w in row if w.any()]
            assert places == sorted(places)


def test_noise_is_for_training_alone():
    """Of one key and a score of zero the weight is sigmoid(r + noise)."""
    model, x, rows = MonotonicAttention(Dot(), offset=-2.0), jnp.zeros((1, 1, 4)), 2000
    params = model.init(jax.random.key(0), x[:, 0], x, x)
    np.testing.assert_array_equal(params["params"]["r"], -2)
    x = jnp.zeros((rows, 1, 4))

    def noise(train, noise=True):
        run, options = model.clone(noise=noise).apply, {"rngs": {"dropout": jax.random.key(1)}}
        weights = np.asarray(run(params, x[:, 0], x, x, train=train, **options)[1])
        return np.log(weights / (1 - weights)) + 2

    np.testing.assert_allclose(noise(False), np.zeros((rows, 1)), atol=1e-5)
    np.testing.assert_allclose(noise(True, noise=False), np.zeros((rows, 1)), atol=1e-5)
    drawn = noise(True)
    assert abs(drawn.mean()) < 4 / np.sqrt(rows)
    assert abs(drawn.std() - 1) < 4 / np.sqrt(2 * rows)


def test_another_number_of_keys_is_refused():
    with pytest.raises(ValueError, match=r"previous must have shape \[2, 5\].* got \[2, 4\]"):
        monotonic_step(jnp.zeros((2, 5)), jnp.zeros((2, 4)))
