"""Helpers of the benchmarks against other libraries: medians of interleaved runs, and a floor."""

import os
import statistics
import time
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp


def interleaved(runs: Mapping[str, Callable], repetitions: int) -> dict[str, float]:
    """Median seconds by name; each is called twice a turn and the second time counts.

    On one core it is processor time, so that other work on that core does not count.
    """
    clock = time.process_time if len(os.sched_getaffinity(0)) == 1 else time.perf_counter
    times = {name: [] for name in runs}
    for _ in range(repetitions):
        for name, run in runs.items():
            run()
            began = clock()
            run()
            times[name].append(clock() - began)
            time.sleep(0.01)  # torch's threads spin for a while
    return {name: statistics.median(found) for name, found in times.items()}


def peak() -> float:
    """Multiply-adds a second of a large matmul on one device."""
    n = 1500
    a, product = jnp.ones((n, n)), jax.jit(lambda a: a @ a)
    return n**3 / interleaved({"matmul": lambda: product(a).block_until_ready()}, 9)["matmul"]


def show(name: str, found: Mapping[str, float], more: str = "") -> None:
    """One line: milliseconds of "ours", and of the others with their time over ours."""
    ours = found["ours"]
    others = ", ".join(
        f"{n} {1e3 * t:.2f} ({t / ours:.2f})" for n, t in found.items() if n != "ours"
    )
    print(f"{name}: ours {1e3 * ours:.2f}, {others}{more}", flush=True)
