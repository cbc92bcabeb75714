"""Connectionist temporal classification (Graves et al. 2006): decoding, whole or as a stream.

Symbol 0 is the blank. A labelling is what is left of a path when repeated symbols are merged and
blanks taken out. The loss is optax's `ctc_loss`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from nets.layers.checks import check_at_least

_NEVER = -1e30  # log-probability of the impossible


class Labelling(NamedTuple):
    """Decoded labellings.

    Attributes:
        symbols: [B, U] int32, then 0.
        steps: [B, U] int32, the step at which each was written; 0 behind the last.
        lengths: [B] int32, numbers of symbols.
    """

    symbols: jax.Array
    steps: jax.Array
    lengths: jax.Array


def greedy(logits: jax.Array, lengths: jax.Array) -> Labelling:
    """The labelling of the most probable path of logits [B, T, K]; U = T.

        >>> logits = jnp.eye(3)[jnp.array([[1, 1, 0, 1, 2]])]
        >>> greedy(logits, jnp.array([5])).symbols.tolist()
        [[1, 1, 2, 0, 0]]

    Args:
        logits: [B, T, K].
        lengths: [B] (int), steps of each row.
    """
    batch, length = logits.shape[:2]
    best = logits.argmax(-1).astype(jnp.int32)
    valid = jnp.arange(length)[None] < lengths[:, None]
    written = _written(jnp.pad(best[:, :-1], ((0, 0), (1, 0))), best) * valid
    position = jnp.where(written > 0, jnp.cumsum(written > 0, axis=1) - 1, length)  # or nowhere
    rows, zeros = jnp.arange(batch)[:, None], jnp.zeros((batch, length), jnp.int32)
    steps = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32)[None], (batch, length))
    return Labelling(
        zeros.at[rows, position].set(written, mode="drop"),
        zeros.at[rows, position].set(steps, mode="drop"),
        (written > 0).sum(1),
    )


def greedy_step(last: jax.Array, logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One step of `greedy` as a stream.

    Args:
        last: [B] int32, the most probable symbol of the step before; zeros at first.
        logits: [B, K].

    Returns:
        that of this step, and the symbol that is written, [B] each; 0 means none.
    """
    best = logits.argmax(-1).astype(jnp.int32)
    return best, _written(last, best)


def _written(last: jax.Array, best: jax.Array) -> jax.Array:
    return jnp.where(best == last, 0, best)


class Beam(NamedTuple):
    """The W most probable prefixes of one row.

    Attributes:
        prefixes: [W, U] int32, then 0.
        lengths: [W] int32.
        blank: [W], log-probability of the paths of the prefix that end with a blank.
        symbol: [W], of those that end with its last symbol.
    """

    prefixes: jax.Array
    lengths: jax.Array
    blank: jax.Array
    symbol: jax.Array

    @property
    def score(self) -> jax.Array:
        """[W], log-probability of the prefix."""
        return jnp.logaddexp(self.blank, self.symbol)


def initial_beam(beam: int, length: int) -> Beam:
    """The empty prefix, and room for prefixes of at most `length` symbols."""
    never = jnp.full(beam, _NEVER)
    zeros = jnp.zeros((beam, length), jnp.int32)
    return Beam(zeros, jnp.zeros(beam, jnp.int32), never.at[0].set(0.0), never)


def beam_step(beam: Beam, log_probs: jax.Array) -> Beam:
    """One step of the prefix beam search, log_probs [K] (Hannun et al. 2014, algorithm 1, without
    a language model).

    A prefix l stays by a blank or by its last symbol, and goes on by c:

        blank'(l)   = (blank(l) + symbol(l)) p(0)
        symbol'(l)  = symbol(l) p(last of l) + the part of a prefix that becomes l
        symbol'(lc) = (blank(l) if c is the last of l, else blank(l) + symbol(l)) p(c)
    """
    width, room = beam.prefixes.shape
    kinds = len(log_probs)
    index = jnp.arange(width)
    empty = beam.lengths == 0
    last = jnp.where(empty, 0, beam.prefixes[index, jnp.maximum(beam.lengths - 1, 0)])
    total = beam.score
    blank = total + log_probs[0]
    symbol = jnp.where(empty, _NEVER, beam.symbol + log_probs[last])
    repeated = last[:, None] == jnp.arange(kinds)[None]  # [W, K]
    extended = jnp.where(repeated, beam.blank[:, None], total[:, None]) + log_probs[None]
    full = (beam.lengths >= room)[:, None] | (jnp.arange(kinds) == 0)[None]
    extended = jnp.where(full, _NEVER, extended)
    # where prefix i goes on to prefix j, which is in the beam too, the two are one
    shortened = jnp.where(
        jnp.arange(room)[None] == beam.lengths[:, None] - 1, 0, beam.prefixes
    )  # [W, U]
    becomes = (shortened[None] == beam.prefixes[:, None]).all(-1)  # [i, j]
    becomes &= beam.lengths[:, None] + 1 == beam.lengths[None]
    gain = jnp.where(becomes, extended[:, last], _NEVER)
    symbol = jnp.logaddexp(symbol, jax.nn.logsumexp(gain, axis=0))
    taken = (becomes[:, :, None] & (last[:, None] == jnp.arange(kinds)[None])[None]).any(1)
    extended = jnp.where(taken, _NEVER, extended)
    scores = jnp.concatenate([jnp.logaddexp(blank, symbol), extended.reshape(-1)])
    _, chosen = lax.top_k(scores, width)
    parent = jnp.where(chosen < width, chosen, (chosen - width) // kinds)
    added = jnp.where(chosen < width, 0, (chosen - width) % kinds).astype(jnp.int32)
    prefixes, lengths = beam.prefixes[parent], beam.lengths[parent]
    here = (jnp.arange(room)[None] == lengths[:, None]) & (added > 0)[:, None]
    return Beam(
        jnp.where(here, added[:, None], prefixes),
        lengths + (added > 0),
        jnp.where(added > 0, _NEVER, blank[parent]),
        jnp.where(added > 0, scores[chosen], symbol[parent]),
    )


def prefix_beam(logits: jax.Array, lengths: jax.Array, beam: int, length: int) -> Beam:
    """The most probable labellings of logits [B, T, K]: a beam of rows [B, W, ...], best first.

    Args:
        logits: [B, T, K].
        lengths: [B] (int), steps of each row.
        beam: prefixes W that are followed.
        length: maximum U of their symbols.

    Raises:
        ValueError: beam or length is below 1.
    """
    check_at_least("beam", beam, 1)
    check_at_least("length", length, 1)
    log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))

    def row(log_probs, steps):
        def step(state, x):
            t, now = x
            new = beam_step(state, now)
            return jax.tree.map(lambda a, b: jnp.where(t < steps, a, b), new, state), None

        times = jnp.arange(len(log_probs))
        state, _ = lax.scan(step, initial_beam(beam, length), (times, log_probs))
        order = jnp.argsort(-state.score)
        return jax.tree.map(lambda a: a[order], state)

    return jax.vmap(row)(log_probs, lengths)
