"""The memory of a recurrent network along sequences, for pictures."""

import functools
from typing import Any

import flax.linen as nn
import jax
from jax import lax


@functools.partial(jax.jit, static_argnums=0)
def traced(
    model: nn.Module, params: Any, carry: Any, inputs: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Logits and memory of `model(inputs, carry, train=False) -> logits, carry`, step by step.

    Args:
        model: has `traces(carry)`, arrays [B, C] by their names.
        params: its parameters.
        carry: the carry before the first step.
        inputs: [B, T, ...].

    Returns:
        logits [B, T, K] and traces [B, T, C] by their names.
    """

    def step(carry, x):
        logits, carry = model.apply({"params": params}, x[:, None], carry, train=False)
        return carry, (logits[:, 0], model.traces(carry))

    _, ys = lax.scan(step, carry, inputs.swapaxes(0, 1))
    return jax.tree.map(lambda a: a.swapaxes(0, 1), ys)
