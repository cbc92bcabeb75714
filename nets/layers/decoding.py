"""Writing symbol by symbol, the likeliest at each step or by beam search: one loop inside jit.

A decoder is a pure function

    carry, logits, weights = step(carry, symbols)

of symbols [N] (int32), those written last, 0 before the first. All leaves of the carry have N rows,
logits are [N, V], and weights [N, K] are what the step attended to; K is 0 where it has no
attention. Symbol 0 also ends what is written.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

Step = Callable[[Any, jax.Array], tuple[Any, jax.Array, jax.Array]]


class Decoded(NamedTuple):
    """What was written.

    Attributes:
        symbols: [B, T] int32, zeros from the end on.
        weights: [B, T, K] float32, attention at each step, that of the end too, then zeros.
        score: [B] float32, the log-probability (nats), with its penalties.
    """

    symbols: jax.Array
    weights: jax.Array
    score: jax.Array


def decode(model: nn.Module, variables: Any, inputs: jax.Array, length: int, **search) -> Decoded:
    """What a model writes for inputs [B, ...], at most `length` symbols a row.

    Args:
        model: has methods `start(inputs) -> memory, carry` and `step(memory, carry, symbols) ->
            carry, logits, weights`; rows of the carry are rows of the inputs, and in a beam the
            slots of each row side by side.
        variables: its variables.
        inputs: [B, ...].
        length: T.
        **search: `beam` and penalties of `beam_search`.

    Raises:
        ValueError: as `beam_search`.
    """
    memory, carry = model.apply(variables, inputs, method="start")

    def step(carry, symbols):
        return model.apply(variables, memory, carry, symbols, method="step")

    return beam_search(step, carry, length, **search)


class _Best(NamedTuple):
    """The best that has ended in each row: its score, when, and in which slot; each [B]."""

    score: jax.Array
    time: jax.Array
    slot: jax.Array


class _State(NamedTuple):
    time: jax.Array
    carry: Any
    alive: jax.Array  # [B, beam], log-probabilities
    coverage: jax.Array  # [B, beam, K]
    best: _Best
    symbols: jax.Array  # [T, B, beam]
    parents: jax.Array  # [T, B, beam], the slots that these were continued from
    weights: jax.Array  # [T, B, beam, K], of the slots before


def beam_search(
    step: Step,
    carry: Any,
    length: int,
    *,
    beam: int = 1,
    length_penalty: float = 0.0,
    coverage_penalty: float = 0.0,
) -> Decoded:
    """The best of what a beam finds for each row; a beam of 1 takes the likeliest symbol each time,
    and ends where that is the end.

    What has ended, Y of |Y| symbols with the end, is scored (Wu et al. 2016, equation 14) by

        log P(Y) / ((5 + |Y|) / 6)^length_penalty + coverage_penalty sum_k log min(1, sum_t w_tk)

    over the keys k that had any weight: one that is never looked at at all, as padding or what is
    outside a window, is not asked for. It counts where it is among the `beam` likeliest
    continuations of its step. The search ends where no continuation can score higher, and gives the
    likeliest unfinished one where none has ended in time.

    Args:
        step: see above; N is B beam.
        carry: that before the first step, its leaves [B, ...].
        length: T, above 0.
        beam: slots a row, at most V.
        length_penalty: at least 0; 0 prefers what is short.
        coverage_penalty: at least 0; above 0 prefers what looks at every key.

    Raises:
        ValueError: an argument is out of its range.
    """
    rows = jax.tree.leaves(carry)[0].shape[0]
    carry = jax.tree.map(lambda a: jnp.repeat(a, beam, axis=0), carry)
    zeros = jnp.zeros((rows, beam), jnp.int32)
    _, logits, weights = jax.eval_shape(step, carry, zeros.reshape(-1))
    vocabulary, keys = logits.shape[-1], weights.shape[-1]
    _check(vocabulary, length, beam, length_penalty, coverage_penalty)

    def penalised(log_probability, symbols, coverage):
        score = log_probability / ((5 + symbols) / 6) ** length_penalty
        if coverage_penalty:
            logs = jnp.log(jnp.minimum(jnp.where(coverage > 0, coverage, 1), 1))
            score += coverage_penalty * logs.sum(-1)
        return score

    def running(state: _State):
        bound = penalised(state.alive.max(1), length, jnp.ones((rows, 0)))
        open_ = bound > state.best.score
        if beam == 1:
            open_ = state.best.score == -jnp.inf
        return (state.time < length) & jnp.any(open_)

    def extend(state: _State) -> _State:
        t = state.time
        last = jnp.where(t > 0, state.symbols[t - 1], 0)
        carry, logits, weights = step(state.carry, last.reshape(-1))
        weights = weights.reshape(rows, beam, keys).astype(jnp.float32)
        coverage = state.coverage + weights
        logs = jax.nn.log_softmax(logits.astype(jnp.float32)).reshape(rows, beam, vocabulary)
        total = (state.alive[..., None] + logs).reshape(rows, -1)
        # at most `beam` of these end, so as many are left to go on with
        total, places = lax.top_k(total, 2 * beam)
        parents, symbols = jnp.divmod(places, vocabulary)
        covered = jnp.take_along_axis(coverage, parents[..., None], 1)
        counts = (symbols == 0) & (jnp.arange(2 * beam) < beam)[None]
        scores = jnp.where(counts, penalised(total, t + 1, covered), -jnp.inf)
        first = scores.argmax(1)[:, None]
        found, slot = (jnp.take_along_axis(a, first, 1)[:, 0] for a in (scores, parents))
        better = found > state.best.score
        if beam == 1:
            better &= state.best.score == -jnp.inf
        best = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            _Best(found, jnp.broadcast_to(t, better.shape), slot),
            state.best,
        )
        alive, chosen = lax.top_k(jnp.where(symbols == 0, -jnp.inf, total), beam)
        parents, symbols = (jnp.take_along_axis(a, chosen, 1) for a in (parents, symbols))
        places = (jnp.arange(rows)[:, None] * beam + parents).reshape(-1)
        return _State(
            t + 1,
            jax.tree.map(lambda a: a[places], carry),
            alive,
            jnp.take_along_axis(covered, chosen[..., None], 1),
            best,
            state.symbols.at[t].set(symbols),
            state.parents.at[t].set(parents),
            state.weights.at[t].set(weights),
        )

    start = _State(
        jnp.zeros((), jnp.int32),
        carry,
        jnp.where(jnp.arange(beam) == 0, 0.0, -jnp.inf)[None].repeat(rows, 0),
        jnp.zeros((rows, beam, keys)),
        _Best(jnp.full(rows, -jnp.inf), zeros[:, 0], zeros[:, 0]),
        jnp.zeros((length, rows, beam), jnp.int32),
        jnp.zeros((length, rows, beam), jnp.int32),
        jnp.zeros((length, rows, beam, keys)),
    )
    end = lax.while_loop(running, extend, start)
    unfinished = penalised(end.alive, length, end.coverage)
    rest = _Best(unfinished.max(1), jnp.full(rows, length), unfinished.argmax(1))
    ended = end.best.score > -jnp.inf
    best = jax.tree.map(lambda a, b: jnp.where(ended, a, b), end.best, rest)
    return Decoded(*_traced(end, best), best.score)


def _traced(end: _State, best: _Best) -> tuple[jax.Array, jax.Array]:
    """Symbols [B, T] and weights [B, T, K] of the best, followed from their ends to the first."""
    length, rows, _ = end.symbols.shape
    row = jnp.arange(rows)

    def back(slot, inputs):
        t, symbols, parents, weights = inputs
        before = t < best.time
        symbol = jnp.where(before, symbols[row, slot], 0)
        slot = jnp.where(before, parents[row, slot], slot)
        seen = jnp.where((t <= best.time)[:, None], weights[row, slot], 0)
        return slot, (symbol, seen)

    steps = jnp.arange(length), end.symbols, end.parents, end.weights
    _, (symbols, weights) = lax.scan(back, best.slot, steps, reverse=True)
    return symbols.T, weights.swapaxes(0, 1)


def _check(vocabulary, length, beam, length_penalty, coverage_penalty):
    if length < 1:
        raise ValueError(f"length={length}: 1 is the least")
    if not 1 <= beam <= vocabulary or vocabulary < 2:
        raise ValueError(f"beam={beam}: valid are 1 to {vocabulary}, the size of the vocabulary")
    for name, value in (("length", length_penalty), ("coverage", coverage_penalty)):
        if not value >= 0:
            raise ValueError(f"{name}_penalty={value}: 0 is the least")
