"""A stream through a recurrent layer that reads a few steps ahead, step by step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.recurrent import Recurrent


class Window(NamedTuple):
    """The last k + 1 steps of a stream.

    Attributes:
        x: [B, k + 1, D].
        valid: [B, k + 1] (bool), which of them exist: none before the stream has begun and after it
            has ended.
    """

    x: jax.Array
    valid: jax.Array

    def push(self, x: jax.Array, valid: jax.Array) -> "Window":
        """The window with x [B, D] as its newest step."""
        return Window(
            jnp.concatenate([self.x[:, 1:], x[:, None].astype(self.x.dtype)], axis=1),
            jnp.concatenate([self.valid[:, 1:], valid[:, None]], axis=1),
        )


def empty_window(batch: int, steps: int, features: int) -> Window:
    """A window of a stream that has not begun."""
    return Window(jnp.zeros((batch, steps, features)), jnp.zeros((batch, steps), bool))


class Streamed(NamedTuple):
    """The carry of `stream_step`: the window, and the carry of the layer before its oldest step."""

    window: Window
    carry: Any


def delay(layer: Recurrent) -> int:
    """The steps by which a stream through the layer is late.

    Raises:
        ValueError: an output needs all later steps.
    """
    if layer.reverse or (layer.bidirectional and layer.lookahead is None):
        raise ValueError("a layer that reads backwards from the end has no streaming form")
    return layer.lookahead if layer.bidirectional else 0


def stream_carry(layer: Recurrent, shape: tuple[int, int]) -> Streamed:
    """The carry before the first step, for inputs [B, D] of one step."""
    window = empty_window(shape[0], delay(layer) + 1, shape[1])
    return Streamed(window, layer.initial_carry(shape))


def stream_step(
    layer: Recurrent, carry: Streamed, x: jax.Array, valid: jax.Array
) -> tuple[Streamed, jax.Array, jax.Array]:
    """One step: the output of the step that was k = `delay` steps ago, as of the whole sequence.

    Inside a module of which `layer`, of one layer, is a submodule, in evaluation.

    Args:
        layer: forward, or bidirectional with `lookahead`.
        carry: that of the step before.
        x: [B, D].
        valid: [B] (bool), whether the step exists; false k times after the end of a sequence, for
            its last outputs.

    Returns:
        the carry, the output [B, F], and whether it exists [B].

    Raises:
        ValueError: there are several layers, each of which would have to wait for the other.
    """
    ahead = delay(layer)
    if ahead and layer.layers > 1:
        raise ValueError(f"layers must be 1 to stream with lookahead, got {layer.layers}")
    window = carry.window.push(x, valid)
    oldest = window.valid[:, 0]
    lengths = jnp.where(oldest, window.valid.sum(1), 0)
    y, last = layer(window.x, carry.carry, lengths=lengths)
    if ahead:  # the first direction alone, one step on
        _, last = layer(window.x[:, :1], carry.carry, lengths=oldest.astype(np.int32))
    return Streamed(window, last), y[:, 0], oldest
