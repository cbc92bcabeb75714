"""Memory of back-propagation through time: by length, and over a stream without end.

    python tests/benchmarks/memory.py

First temporary memory of the gradient of an LSTM over T steps, and the exponent of its growth: 1
where all steps are kept, 1/2 with chunks of sqrt(T), next to 0 with truncated_scan. Then resident
memory over a million steps of truncated back-propagation (Linux). About a minute.
"""

import functools
import math
import os
from pathlib import Path

import jax
import jax.numpy as jnp

from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_bptt import truncated_scan
from nets.lstm import LSTM

BATCH, UNITS, WINDOW = 8, 64, 64
SEGMENT = 1_000


def room(length: int, way: str) -> int:
    """Temporary bytes of the gradient of the weights over `length` steps."""
    chunk = math.isqrt(length) if way == "chunk" else None
    model = Recurrent(LSTM(UNITS), chunk=chunk)

    def run(params, carry, xs):
        ys, carry = model.apply(params, xs.swapaxes(0, 1), carry)
        return carry, jnp.square(ys).sum((0, 2))

    def loss(params, carry, xs):
        scan = functools.partial(run, params)
        if way == "truncated":
            return truncated_scan(scan, carry, xs, WINDOW, WINDOW)[1].sum()
        return jnp.square(scan(carry, xs)[0][0][0].h).sum()  # so that no output is kept

    xs = jax.ShapeDtypeStruct((length, BATCH, 1), jnp.float32)
    carry = jax.eval_shape(lambda: model.initial_carry((BATCH, 1)))
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((BATCH, 1, 1)))
    compiled = jax.jit(jax.grad(loss)).lower(params, carry, xs).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def stream() -> None:
    model = Recurrent(LSTM(16))
    x = jnp.zeros((4, SEGMENT, 1))
    state = model.init(jax.random.key(0), x), model.initial_carry((4, 1)), jax.random.key(1)

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state):
        params, carry, key = state
        key, now = jax.random.split(key)
        x = jax.random.normal(now, (4, SEGMENT, 1))

        def loss(params):
            ys, after = model.apply(params, x, carry)
            return jnp.square(ys[:, 1:, 0] - x[:, :-1, 0]).mean(), after

        gradient, carry = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), carry, key

    for segment in range(1001):
        if segment % 250 == 0 or segment == 1:
            jax.block_until_ready(state)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
            print(f"resident after {segment * SEGMENT:9,} steps {resident:8.1f} MB", flush=True)
        state = update(state)


def main():
    ways, before = ("full", "chunk", "truncated"), (math.nan,) * 3
    print("temporary bytes (growth exponent):")
    print("      T" + "".join(f"{way:>23}" for way in ways))
    for length in (256, 1024, 4096, 16384):
        sizes = [room(length, way) for way in ways]
        pairs = zip(sizes, before, strict=True)
        cells = (f"{a:15,} ({math.log(a / b, 4):5.2f})" for a, b in pairs)
        print(f"{length:7}" + "".join(cells), flush=True)
        before = sizes
    stream()


if __name__ == "__main__":
    main()
