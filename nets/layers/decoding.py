"""Decoding one symbol at a time, greedy, by beam search or by sampling: one loop inside jit.

A decoder is a pure function

    carry, logits, weights = step(carry, symbols)

of the previous symbols [N] (int32). All arrays of the carry have N rows, logits are [N, V], and
weights [N, K] are the attention of the step; K is 0 without attention. A search begins after symbol
0, which is also the end of a sequence; sampling begins after the last symbol of a prompt.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import ArrayLike

from nets.layers.checks import check_at_least

Step = Callable[[Any, jax.Array], tuple[Any, jax.Array, jax.Array]]


class Decoded(NamedTuple):
    """Decoded sequences.

    Attributes:
        symbols: [B, T] int32, zeros from the end on.
        weights: [B, T, K] float32, attention of each step up to the end, then zeros.
        score: [B] float32, the log-probability in nats, with the penalties.
    """

    symbols: jax.Array
    weights: jax.Array
    score: jax.Array


def decode(
    model: nn.Module, variables: Any, inputs: jax.Array, length: int, **search: Any
) -> Decoded:
    """Decodes at most `length` symbols for each row of inputs [B, ...].

        >>> from nets.encoder_decoder import Seq2Seq
        >>> model, x = Seq2Seq(num_classes=7, vocab_size=5), jnp.ones((2, 3), int)
        >>> params = jax.eval_shape(lambda: model.init(jax.random.key(0), x, x, train=False))
        >>> jax.eval_shape(lambda params: decode(model, params, x, length=4), params).symbols.shape
        (2, 4)

    Args:
        model: see `decoder`.
        variables: the model's variables.
        inputs: [B, ...].
        length: T.
        **search: `beam` and the penalties of `beam_search`.

    Raises:
        ValueError: as `beam_search`.
    """
    step, carry = decoder(model, variables, inputs)
    return beam_search(step, carry, length, **search)


def generate(
    model: nn.Module,
    variables: Any,
    key: jax.Array,
    prompt: jax.Array,
    length: int,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
) -> jax.Array:
    """Continues prompts [B, P] (int, P > 0) by `length` sampled symbols: [B, length] (int32).

    They are sampled from softmax(logits / temperature); temperature 0 takes the most probable. With
    `top_k` only the k most probable are sampled (Fan et al. 2018).

        >>> from nets.recurrent_lm import RecurrentLM
        >>> model, x = RecurrentLM(vocab_size=5), jnp.ones((2, 3), int)
        >>> variables = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
        >>> key = jax.random.key(0)
        >>> jax.eval_shape(lambda v: generate(model, v, key, x, length=4), variables).shape
        (2, 4)
    """
    step, carry = decoder(model, variables, prompt[:, :-1])

    def draw(key: jax.Array, logits: jax.Array) -> jax.Array:  # [B, V] -> [B]
        if top_k is not None:
            logits, ids = lax.top_k(logits, top_k)
        scaled = logits / jnp.where(temperature == 0, 1, temperature)
        symbols = jax.random.categorical(key, scaled)
        symbols = jnp.where(temperature == 0, jnp.argmax(logits, -1), symbols)
        if top_k is not None:
            symbols = jnp.take_along_axis(ids, symbols[:, None], -1)[:, 0]
        return symbols.astype(jnp.int32)

    def extend(state, key):
        carry, symbols = state
        carry, logits, _ = step(carry, symbols)
        symbols = draw(key, logits)
        return (carry, symbols), symbols

    first = prompt[:, -1].astype(jnp.int32)
    _, symbols = lax.scan(extend, (carry, first), jax.random.split(key, length))
    return symbols.T


def decoder(model: nn.Module, variables: Any, inputs: jax.Array) -> tuple[Step, Any]:
    """The step function of a model that has read inputs [B, ...], and its first carry.

    Args:
        model: has methods `start(inputs) -> memory, carry` and `step(memory, carry, symbols) ->
            carry, logits, weights`; rows of the carry are rows of the inputs, with a beam the slots
            of row 0, then those of row 1, and so on.
        variables: the model's variables.
        inputs: [B, ...].
    """
    memory, carry = model.apply(variables, inputs, method="start")

    def step(carry: Any, symbols: jax.Array) -> tuple[Any, jax.Array, jax.Array]:
        return model.apply(variables, memory, carry, symbols, method="step")

    return step, carry


class _Best(NamedTuple):
    """The best finished sequence of each row: its score, last step and slot; each [B]."""

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
    parents: jax.Array  # [T, B, beam], the previous slots that the symbols continue
    weights: jax.Array  # [T, B, beam, K], of the previous slots


def beam_search(
    step: Step,
    carry: Any,
    length: int,
    *,
    beam: int = 1,
    length_penalty: float = 0.0,
    coverage_penalty: float = 0.0,
) -> Decoded:
    """The best sequence of each row by beam search; a beam of 1 is greedy decoding.

    A finished sequence Y of |Y| symbols, with the end, is scored (Wu et al. 2016, equation 14) by

        log P(Y) / ((5 + |Y|) / 6)^length_penalty + coverage_penalty sum_k log min(1, sum_t w_tk)

    over the keys k with any weight, so that padding and keys outside a window do not count. It is
    a candidate if it is among the `beam` likeliest continuations of its step. The search stops when
    no continuation can score higher. If no sequence is finished in T steps, the result is the
    likeliest unfinished one.

        >>> def step(carry, symbols):  # always likeliest: symbol 2
        ...     logits = jnp.zeros((len(symbols), 3)).at[:, 2].set(9.0)
        ...     return carry, logits, jnp.zeros((len(symbols), 0))
        >>> beam_search(step, jnp.zeros((1, 4)), length=3).symbols.tolist()
        [[2, 2, 2]]

    Args:
        step: a decoder, see above; N is B beam.
        carry: the carry before the first step, arrays [B, ...].
        length: T, at least 1.
        beam: number of slots per row, at most V.
        length_penalty: at least 0; 0 prefers short sequences.
        coverage_penalty: at least 0; above 0 prefers sequences that attend to every key.

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
        # at most `beam` of these 2 beam continuations end, so `beam` unfinished ones are left
        total, indices = lax.top_k(total, 2 * beam)
        parents, symbols = jnp.divmod(indices, vocabulary)
        covered = jnp.take_along_axis(coverage, parents[..., None], 1)
        counts = (symbols == 0) & (jnp.arange(2 * beam) < beam)[None]
        scores = jnp.where(counts, penalised(total, t + 1, covered), -jnp.inf)
        first = scores.argmax(1)[:, None]
        score, slot = (jnp.take_along_axis(a, first, 1)[:, 0] for a in (scores, parents))
        better = score > state.best.score
        if beam == 1:
            better &= state.best.score == -jnp.inf
        best = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            _Best(score, jnp.broadcast_to(t, better.shape), slot),
            state.best,
        )
        alive, chosen = lax.top_k(jnp.where(symbols == 0, -jnp.inf, total), beam)
        parents, symbols = (jnp.take_along_axis(a, chosen, 1) for a in (parents, symbols))
        slots = (jnp.arange(rows)[:, None] * beam + parents).reshape(-1)
        return _State(
            t + 1,
            jax.tree.map(lambda a: a[slots], carry),
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
    """Symbols [B, T] and weights [B, T, K] of the best sequences, followed from last to first."""
    length, rows, _ = end.symbols.shape
    row = jnp.arange(rows)

    def back(slot, inputs):
        t, symbols, parents, weights = inputs
        before = t < best.time
        symbol = jnp.where(before, symbols[row, slot], 0)
        slot = jnp.where(before, parents[row, slot], slot)
        weights = jnp.where((t <= best.time)[:, None], weights[row, slot], 0)
        return slot, (symbol, weights)

    steps = jnp.arange(length), end.symbols, end.parents, end.weights
    _, (symbols, weights) = lax.scan(back, best.slot, steps, reverse=True)
    return symbols.T, weights.swapaxes(0, 1)


def _check(vocabulary, length, beam, length_penalty, coverage_penalty):
    check_at_least("length", length, 1)
    check_at_least("the size of the vocabulary", vocabulary, 2)
    if not 1 <= beam <= vocabulary:
        raise ValueError(
            f"beam must be from 1 to {vocabulary}, the size of the vocabulary, got {beam}"
        )
    check_at_least("length_penalty", length_penalty, 0)
    check_at_least("coverage_penalty", coverage_penalty, 0)
