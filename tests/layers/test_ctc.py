"""Decoding of connectionist temporal classification, against all paths of small cases."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import ctc

prefix_beam = jax.jit(ctc.prefix_beam, static_argnums=(2, 3))


def merged(path):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def all_labellings(log_probs):
    """The probability of every labelling, by adding up all paths; likeliest first."""
    steps, kinds = log_probs.shape
    totals = {}
    for path in itertools.product(range(kinds), repeat=steps):
        p = np.exp(sum(log_probs[t, symbol] for t, symbol in enumerate(path)))
        totals[merged(path)] = totals.get(merged(path), 0) + p
    return sorted(totals.items(), key=lambda pair: -pair[1])


def case(steps, kinds, seed=0):
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(3, steps, kinds)).astype(np.float32)
    return logits, np.array([steps, steps - 1, steps]), np.asarray(jax.nn.log_softmax(logits))


@pytest.mark.parametrize(("steps", "kinds"), [(5, 3), (4, 4)])
def test_a_wide_beam_finds_the_labellings_of_all_paths(steps, kinds):
    logits, lengths, log_probs = case(steps, kinds)
    beam = prefix_beam(logits, lengths, 50, steps)
    for b in range(3):
        for i, (labelling, p) in enumerate(all_labellings(log_probs[b, : lengths[b]])[:6]):
            assert tuple(beam.prefixes[b, i, : beam.lengths[b, i]].tolist()) == labelling
            assert not beam.prefixes[b, i, beam.lengths[b, i] :].any()
            np.testing.assert_allclose(np.exp(beam.score[b, i]), p, rtol=1e-4)


def test_the_likeliest_labelling_need_not_be_that_of_the_likeliest_path():
    """Graves 2012, figure 7.4: the blank is the likeliest symbol twice, and "a" the likeliest
    labelling."""
    logits = jnp.log(jnp.array([[[0.6, 0.4], [0.6, 0.4]]]))
    lengths = jnp.array([2])
    assert ctc.greedy(logits, lengths).lengths.tolist() == [0]
    beam = prefix_beam(logits, lengths, 3, 2)
    assert beam.prefixes[0, 0].tolist() == [1, 0]
    np.testing.assert_allclose(np.exp(beam.score[0, :2]), [0.64, 0.36], rtol=1e-5)


def test_greedy_decoding_merges_the_likeliest_path():
    path = np.array([[0, 3, 3, 0, 3, 1, 1, 2], [2, 2, 0, 0, 2, 1, 0, 0]])
    lengths = np.array([8, 5])
    decoded = ctc.greedy(jnp.eye(4)[path], jnp.asarray(lengths))
    assert decoded.symbols.tolist() == [[3, 3, 1, 2, 0, 0, 0, 0], [2, 2, 0, 0, 0, 0, 0, 0]]
    assert decoded.steps.tolist() == [[1, 4, 5, 7, 0, 0, 0, 0], [0, 4, 0, 0, 0, 0, 0, 0]]
    assert decoded.lengths.tolist() == [4, 2]


def test_a_stream_writes_what_the_whole_does():
    logits, lengths, _ = case(9, 4, seed=1)
    lengths = np.full(3, 9)
    last, written = jnp.zeros(3, jnp.int32), []
    for t in range(9):
        last, symbols = ctc.greedy_step(last, jnp.asarray(logits[:, t]))
        written.append(symbols)
    whole = ctc.greedy(jnp.asarray(logits), jnp.asarray(lengths))
    for b, row in enumerate(np.stack(written, 1)):
        assert row[row > 0].tolist() == whole.symbols[b, : whole.lengths[b]].tolist()


def test_a_beam_of_a_stream_is_that_of_the_whole():
    logits, _, log_probs = case(6, 3, seed=2)
    beam, step = ctc.initial_beam(4, 6), jax.jit(ctc.beam_step)
    for now in log_probs[0]:
        beam = step(beam, jnp.asarray(now))
    whole = prefix_beam(jnp.asarray(logits), jnp.array([6, 6, 6]), 4, 6)
    np.testing.assert_allclose(np.sort(beam.score)[::-1], whole.score[0], rtol=1e-5)


def test_prefixes_have_a_maximum_length():
    logits, lengths, _ = case(5, 3)
    beam = prefix_beam(jnp.asarray(logits), jnp.asarray(lengths), 5, 1)
    assert beam.prefixes.shape == (3, 5, 1) and beam.lengths.max() == 1
    with pytest.raises(ValueError, match="beam must be at least 1, got 0"):
        ctc.prefix_beam(jnp.asarray(logits), jnp.asarray(lengths), 0, 1)
