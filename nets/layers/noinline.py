"""A part of a program that XLA compiles by itself."""

from collections.abc import Callable

import jax


def noinline(function: Callable, static_argnums: tuple[int, ...] = ()) -> Callable:
    """A function as a call that XLA keeps, so that nothing is fused across its border.

    `lax.optimization_barrier` does not do that on a CPU: it is gone before XLA fuses. Only a CPU's
    compiler is known to take such calls.
    """
    called = jax.jit(function, static_argnums=static_argnums)

    def run(*given):
        from jax.experimental.xla_metadata import set_xla_metadata  # flax does not load it either

        with set_xla_metadata(inlineable="false"):
            return called(*given)

    return run
