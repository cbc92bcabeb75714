"""Greedy decoding and beam search against plain loops over lists, and by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.decoding import beam_search

ROWS, VOCABULARY, KEYS = 3, 5, 4


@functools.cache
def tables() -> tuple[np.ndarray, np.ndarray]:
    """Logits [rows, V, V, V] by the last two symbols, and weights [rows, V, V, K] alike."""
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(ROWS, VOCABULARY, VOCABULARY, VOCABULARY))
    weights = rng.dirichlet(np.ones(KEYS), (ROWS, VOCABULARY, VOCABULARY))
    weights[:, :, :, 0] = 0  # a key that is padding
    return logits.astype(np.float32), weights.astype(np.float32)


def step(carry, symbols):
    logits, weights = map(jnp.asarray, tables())
    row, before = carry
    return (row, symbols), logits[row, before, symbols], weights[row, before, symbols]


def searched(length, **options):
    carry = jnp.arange(ROWS), jnp.zeros(ROWS, jnp.int32)
    return jax.jit(lambda c: beam_search(step, c, length, **options))(carry)


def slow(row, length, beam, alpha, beta):
    """The search for one row: lists of (log-probability, symbols, weights) and no arrays."""
    logits, weights = tables()
    alive, ended = [(0.0, (), ())], []

    def score(log_probability, symbols, attention):
        value = log_probability / ((5 + len(symbols)) / 6) ** alpha
        total = np.sum(attention, 0, dtype=np.float64)
        return value + beta * np.log(np.minimum(total[total > 0], 1)).sum()

    for _ in range(length):
        grown = []
        for log_probability, symbols, attention in alive:
            before, last = (0, 0, *symbols)[-2:]
            z = logits[row, before, last].astype(np.float64)
            each = log_probability + z - np.log(np.exp(z).sum())
            here = weights[row, before, last]
            grown += [(each[s], (*symbols, s), (*attention, here)) for s in range(VOCABULARY)]
        grown.sort(key=lambda g: -g[0])
        ended += [(score(*g), *g[1:]) for g in grown[:beam] if g[1][-1] == 0]
        alive = [g for g in grown if g[1][-1] != 0][:beam]
        if beam == 1 and ended:
            break
    ended = ended or [(score(*g), *g[1:]) for g in alive]
    return max(ended, key=lambda e: e[0])


@pytest.mark.parametrize(
    ("length", "beam", "alpha", "beta"),
    [
        (6, 1, 0.0, 0.0),
        (9, 1, 3.0, 0.3),
        (6, 2, 0.0, 0.0),
        (9, 3, 1.0, 0.0),
        (9, 4, 2.0, 0.3),
        (1, 2, 0.0, 0.0),
    ],
)
def test_a_search_finds_what_plain_lists_find(length, beam, alpha, beta):
    decoded = searched(length, beam=beam, length_penalty=alpha, coverage_penalty=beta)
    ends = set()
    for row in range(ROWS):
        score, symbols, attention = slow(row, length, beam, alpha, beta)
        ends.add(len(symbols))
        np.testing.assert_allclose(decoded.score[row], score, rtol=1e-5)
        rest = length - len(symbols)
        assert decoded.symbols[row].tolist() == [*symbols, *[0] * rest]
        wanted = np.concatenate([attention, np.zeros((rest, KEYS))])
        np.testing.assert_allclose(decoded.weights[row], wanted, rtol=1e-6)
    assert length == 1 or len(ends) > 1  # rows end at different times


def test_a_beam_of_one_is_greedy_whatever_the_penalties():
    plain = searched(9, beam=1)
    np.testing.assert_array_equal(plain.symbols, searched(9, beam=1, length_penalty=4.0).symbols)
    logits = tables()[0]
    for row in range(ROWS):
        symbols = [0, 0]
        while len(symbols) < 11 and (len(symbols) == 2 or symbols[-1]):
            symbols.append(int(logits[row, symbols[-2], symbols[-1]].argmax()))
        assert plain.symbols[row].tolist() == (symbols[2:] + [0] * 9)[:9]


def test_a_beam_finds_by_hand_what_the_likeliest_symbol_misses():
    """0.6 x 0.4 first, 0.4 x 0.9 in truth: of two steps, the second always the end or 3."""
    first = jnp.log(jnp.array([1e-9, 0.6, 0.4, 1e-9]))
    then = jnp.log(jnp.array([[0.25] * 4, [0.4, 0.3, 0.3, 1e-9], [0.9, 0.05, 0.05, 1e-9]]))

    def step(time, symbols):
        logits = jnp.where((time == 0)[:, None], first, then[jnp.minimum(symbols, 2)])
        return time + 1, logits, jnp.zeros((len(symbols), 0))

    start = jnp.zeros(1, jnp.int32)
    greedy, wide = (beam_search(step, start, 3, beam=n) for n in (1, 2))
    assert greedy.symbols.tolist() == [[1, 0, 0]] and wide.symbols.tolist() == [[2, 0, 0]]
    np.testing.assert_allclose(np.exp([greedy.score[0], wide.score[0]]), [0.24, 0.36], rtol=1e-5)
    assert greedy.weights.shape == (1, 3, 0)


def test_longer_sequences_are_preferred_by_the_length_penalty():
    lengths = [
        int((searched(12, beam=3, length_penalty=alpha).symbols > 0).sum())
        for alpha in (0.0, 1.0, 4.0)
    ]
    assert lengths[0] < lengths[1] < lengths[2]


def test_the_search_stops_where_nothing_better_can_come():
    met = []

    def counted(carry, symbols):
        jax.debug.callback(lambda: met.append(1))
        ends = jnp.zeros((len(symbols), VOCABULARY)).at[:, 0].set(9.0)
        return carry, ends, jnp.zeros((len(symbols), 1))

    jax.block_until_ready(beam_search(counted, jnp.zeros(2), 50, beam=2))
    jax.effects_barrier()
    assert len(met) == 1


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (4, {"beam": 6}, "beam must be from 1 to 5, the size of the vocabulary, got 6"),
        (4, {"beam": 0}, "beam must be from 1 to 5, .* got 0"),
        (0, {}, "^length must be at least 1, got 0"),
        (4, {"length_penalty": -1.0}, "^length_penalty must be at least 0, got -1.0"),
        (4, {"coverage_penalty": float("nan")}, "^coverage_penalty must be at least 0, got nan"),
    ],
)
def test_bad_searches_are_refused(length, options, message):
    with pytest.raises(ValueError, match=message):
        searched(length, **options)
