"""Helpers for tests of gradients, compilation and memory."""

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
    """Temporary memory of the compiled function, without arguments and results."""
    compiled = jax.jit(function).lower(*shapes).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """A list that gets one event for each program that XLA compiles inside the `with`."""
    events: list[str] = []

    def listen(event: str, *_, **__) -> None:
        if "backend_compile" in event:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield events
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def equations(jaxpr: Any, within: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Each (equation, names of the enclosing equations) of a jaxpr."""
    for equation in jaxpr.eqns:
        yield equation, within
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner, (*within, equation.primitive.name))


def assert_close(got: Any, want: Any, tolerance: float = 1e-12) -> None:
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def assert_gradient(gradient: Any, value: Callable[..., float], arguments: tuple) -> None:
    """Compares a gradient with central differences of value(*arguments), in NumPy and float64.

    The derivative by each array is taken along one random direction.
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
