"""Calls that XLA does not inline."""

from collections.abc import Callable

import jax


def noinline(function: Callable, static_argnums: tuple[int, ...] = ()) -> Callable:
    """The function as a call that XLA does not inline, so that it fuses nothing across the call.

    `lax.optimization_barrier` does not achieve this on a CPU: it is removed before fusion. Only
    XLA's CPU compiler is known to support such calls.

        >>> noinline(jnp.square)(jnp.array(3.0)).item()
        9.0
    """
    jitted = jax.jit(function, static_argnums=static_argnums)

    def call(*arguments):
        from jax.experimental.xla_metadata import set_xla_metadata  # Flax does not import it

        with set_xla_metadata(inlineable="false"):
            return jitted(*arguments)

    return call
