"""Compile time and training step of deep networks, block by block and as a scan over blocks.

    python tests/benchmarks/depth.py [--depths=32,110] [--scanned=1202] [--repetitions=N]

CIFAR ResNets at batch 128, forwards and with the gradient: seconds to trace, to compile, and of a
step (the median of interleaved repetitions). Those of `--scanned` are too deep to be unrolled here,
and are not run.
"""

import argparse
import sys
import time

from nets.cli import process

process.tune()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from timing import interleaved  # noqa: E402

from nets.resnet_cifar import CifarResNet  # noqa: E402


def depths(text):
    return [int(n) for n in filter(None, text.split(","))]


def compiled(depth, scan, x):
    """The gradient of one batch as a callable that waits; seconds to trace, and to compile."""
    model = CifarResNet(depth, num_classes=10, scan_blocks=scan)

    def loss(params, rest, x):
        variables = {"params": params, **rest}
        logits, _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
        return logits.sum()

    init = jax.jit(lambda key: model.init(key, x[:1], train=False))
    rest = init(jax.random.key(0))
    params = rest.pop("params")
    began = time.perf_counter()
    traced = jax.jit(jax.grad(loss)).trace(params, rest, x)
    then = time.perf_counter()
    step = traced.lower().compile()
    end = time.perf_counter()
    return lambda: jax.block_until_ready(step(params, rest, x)), then - began, end - then


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--depths", type=depths, default=[32, 110])
    parser.add_argument("--scanned", type=depths, default=[1202])
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    x = jnp.ones((128, 32, 32, 3))
    for depth in options.depths + options.scanned:
        runs = {}
        for name in ("unrolled", "scanned")[depth in options.scanned :]:
            runs[name], trace, compile_ = compiled(depth, name == "scanned", x)
            print(f"depth {depth} {name}: traced in {trace:.1f} s, compiled in {compile_:.1f} s")
        if depth in options.depths:
            found = interleaved(runs, options.repetitions)
            steps = ", ".join(f"{name} {1e3 * t:.0f} ms" for name, t in found.items())
            print(f"depth {depth}: {steps} ({found['scanned'] / found['unrolled']:.2f})")


if __name__ == "__main__":
    sys.exit(main())
