"""Addressing of a memory of slots, reading and writing it: what a Turing machine's heads do.

Arrays are memory [B, M, N], M numbers in each of N slots, and weightings [B, H, N] of H heads: not
negative, and each sums to one. The slots are the last axis: on a CPU a step is then three times as
fast. All steps are differentiable (Graves, Wayne and Danihelka 2014, section 3). Likeness and
powers are computed in float32 at least, and given in the dtype of the arguments.
"""

import jax
import jax.numpy as jnp
from jax import lax

from nets.layers.precision import at_least_float32

_NORM = 1e-6  # added to squared norms: an empty slot is like no key
_MASS = 1e-16  # added to weightings before their logarithm


def content_weighting(memory: jax.Array, keys: jax.Array, strengths: jax.Array) -> jax.Array:
    """Weighting by the likeness of slots to keys (equations 5 and 6).

        w(i) = softmax_i(strength cos(key, slot i))

    The cosine of a key with a slot of zeros is 0.

        >>> memory = jnp.array([[[1.0, 0.0], [0.0, 1.0]]])  # two slots
        >>> w = content_weighting(memory, jnp.array([[[0.0, 2.0]]]), jnp.array([[9.0]]))
        >>> w.round(2).tolist()
        [[[0.0, 1.0]]]

    Args:
        memory: [B, M, N].
        keys: [B, H, M], or [B, M] of one head: its sums are then ten times as fast on a CPU.
        strengths: [B, H] or [B], not negative.

    Returns:
        [B, H, N] or [B, N].
    """
    dtype = jnp.result_type(memory, keys, strengths)
    memory, keys, strengths = map(at_least_float32, (memory, keys, strengths))
    products = jnp.einsum("bmn,b...m->b...n", memory, keys)
    squares = memory * memory  # jnp.square would save twice the memory, too, for the gradient
    lengths = lax.rsqrt(squares.sum(1) + _NORM)  # [B, N]
    lengths = lengths.reshape(len(lengths), *(1,) * (keys.ndim - 2), -1)
    scales = strengths * lax.rsqrt(jnp.square(keys).sum(-1) + _NORM)  # [B, H]
    return jax.nn.softmax(products * lengths * scales[..., None], axis=-1).astype(dtype)


def interpolate(content: jax.Array, before: jax.Array, gates: jax.Array) -> jax.Array:
    """Between the weighting by content and that of the step before (equation 7).

        w = g content + (1 - g) before

    Args:
        content: [B, H, N].
        before: [B, H, N].
        gates: g [B, H], from 0 to 1.
    """
    return before + gates[..., None] * (content - before)


def shift(weighting: jax.Array, shifts: jax.Array) -> jax.Array:
    """Circular convolution with a distribution over shifts (equation 8).

        w(i) = sum_j weighting(j) shifts(i - j)

        >>> shift(jnp.array([[[1.0, 0.0, 0.0, 0.0]]]), jnp.array([[[0.0, 0.0, 1.0]]])).tolist()
        [[[0.0, 1.0, 0.0, 0.0]]]

    Args:
        weighting: [B, H, N].
        shifts: [B, H, S], S odd and at most N; entry k is the share moved by k - (S - 1) / 2 slots.
    """
    slots, size = weighting.shape[-1], shifts.shape[-1]
    reach = size // 2
    wrapped = jnp.concatenate(
        [weighting[..., slots - reach :], weighting, weighting[..., :reach]], axis=-1
    )
    moved = (
        wrapped[..., size - 1 - k : size - 1 - k + slots] * shifts[..., k, None]
        for k in range(size)
    )
    return sum(moved)


def sharpen(weighting: jax.Array, powers: jax.Array) -> jax.Array:
    """Each entry to a power, normalised (equation 9).

        w(i) = weighting(i)^p / sum_j weighting(j)^p

    A weighting of zeros gives a uniform one. An entry below zero, by rounding, is like zero.

        >>> w = sharpen(jnp.array([[[0.25, 0.75]]]), jnp.array([[2.0]]))
        >>> [round(x, 4) for x in w[0, 0].tolist()]
        [0.1, 0.9]

    Args:
        weighting: [B, H, N].
        powers: p [B, H], at least 1.
    """
    dtype = jnp.result_type(weighting, powers)
    weighting, powers = map(at_least_float32, (jnp.where(weighting < 0, 0, weighting), powers))
    return jax.nn.softmax(powers[..., None] * jnp.log(weighting + _MASS), axis=-1).astype(dtype)


def read(memory: jax.Array, weighting: jax.Array) -> jax.Array:
    """The slots' mean by each weighting, [B, H, M] (equation 2)."""
    return jnp.einsum("bhn,bmn->bhm", weighting, memory)


def write(
    memory: jax.Array, weighting: jax.Array, erased: jax.Array, added: jax.Array
) -> jax.Array:
    """The memory after all heads have erased and then all have added (equations 3 and 4).

        (slot i) prod_h (1 - w_h(i) e_h) + sum_h w_h(i) a_h

    Args:
        memory: [B, M, N].
        weighting: w [B, H, N].
        erased: e [B, H, M], from 0 to 1.
        added: a [B, H, M].
    """
    heads = [
        (w[:, None], e[..., None], a[..., None])
        for w, e, a in zip(
            *(jnp.unstack(x, axis=1) for x in (weighting, erased, added)), strict=True
        )
    ]  # [B, 1, N], [B, M, 1] and [B, M, 1] of each
    for w, e, _ in heads:
        memory = memory * (1 - w * e)
    for w, _, a in heads:
        memory = memory + w * a
    return memory
