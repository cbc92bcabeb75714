"""What tests of scans over time share."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxprs_in_params

jit = functools.partial(  # for programs that are compiled far longer than they run
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    },
)


def temporary_bytes(function: Callable, *shapes: jax.ShapeDtypeStruct) -> int:
    """What the compiled function needs beside its arguments and results."""
    compiled = jax.jit(function).lower(*shapes).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """The events, one for each program that XLA compiles meanwhile."""
    seen: list[str] = []

    def listen(event: str, *_, **__) -> None:
        if "backend_compile" in event:
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def equations(jaxpr: Any, within: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """(equation, names of the equations that it lies in), all of them."""
    for equation in jaxpr.eqns:
        yield equation, within
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner, (*within, equation.primitive.name))


def assert_close(got: Any, want: Any, tolerance: float = 1e-12) -> None:
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def assert_gradient(gradient: Any, value: Callable[..., float], arguments: tuple) -> None:
    """The gradient of value(*arguments), array by array along a random direction.

    `value` is NumPy's, in float64; what it is held against is its central difference.
    """
    rng, (leaves, structure) = np.random.default_rng(9), jax.tree.flatten(arguments)
    slopes, differences = [], []
    for i, (a, slope) in enumerate(zip(leaves, jax.tree.leaves(gradient), strict=True)):
        towards = rng.normal(size=a.shape)
        up, down = (
            value(*structure.unflatten([*leaves[:i], a + size * towards, *leaves[i + 1 :]]))
            for size in (1e-5, -1e-5)
        )
        slopes.append((slope * towards).sum())
        differences.append((up - down) / 2e-5)
    np.testing.assert_allclose(slopes, differences, rtol=1e-7, atol=1e-8)
