"""The cost of the engine: the loop against the bare step, start-up, import, memory.

    python tests/benchmarks/engine.py [--data_dir=FOLDER OF TFDS SETS]

Ratios are of medians over alternating segments in one process; run it on an idle machine.
"""

import argparse
import contextlib
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import unittest.mock
from pathlib import Path

import jax

from nets.cli import config, process
from nets.cli.catalogue import load
from nets.cli.resolve import resolve
from nets.data.prefetch import prefetch
from nets.errors import UserError
from nets.layers import conv
from nets.report.reporter import Reporter
from nets.train import loop, sharding, train_state
from nets.train.experiment import batch_struct
from nets.train.signals import Signals

ROOT = Path(__file__).parent.parent.parent
RECORD = {"experiment": "benchmark", "command": "", "started": ""}
RECORD |= {"arguments": [], "config": {}, "metadata": {}, "environment": {}}
RECORD |= {"git": {"commit": None, "dirty": None}, "code_changes": []}
SEGMENT = 100


class Alternating(Reporter):
    """Runs a segment of the bare step after every segment of the loop."""

    def __init__(self, workdir, experiment):
        super().__init__(workdir, RECORD)
        self.console.quiet = True
        mesh, init = sharding.make(), train_state.make_init(experiment)
        self.state = jax.jit(init)()
        batch = batch_struct(experiment.data)
        self.update = loop.compile_step(experiment, self.state, mesh, batch)
        batches = prefetch(experiment.data.train(0), experiment.data.read_threads)
        self.batches = [sharding.put(next(batches), sharding.rows(mesh)) for _ in range(8)]
        self.loop, self.bare = [], []

    def tick(self, step):
        if step % SEGMENT:
            return
        for array in jax.live_arrays():
            array.block_until_ready()
        now = time.perf_counter()
        if step > SEGMENT:  # the first one holds the first of everything
            self.loop.append(now - self.since)
        for i in range(SEGMENT):
            self.state, metrics = self.update(self.state, self.batches[i % 8])
        jax.block_until_ready((self.state, metrics))
        self.bare.append(time.perf_counter() - now)
        self.since = time.perf_counter()


def overhead(name: str, data_dir: str | None, steps: int) -> None:
    changes = {"steps": steps, "eval_every": 10**9, "save_every": SEGMENT * 5}
    experiment = config.replace(load(name, ROOT / "experiments"), changes)
    experiment = config.replace(experiment, {"data.data_dir": data_dir})
    try:
        experiment = resolve(experiment, experiment.data.metadata())
    except UserError as error:
        print(f"{name}: left out: {error}")
        return
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.closing(Alternating(Path(folder), experiment)) as reporter:
            loop.fit(experiment, Path(folder), Signals(), reporter)
        bare, looped = (statistics.median(t) / SEGMENT for t in (reporter.bare, reporter.loop))
    print(
        f"{name}: bare step {1e3 * bare:.2f} ms, loop {1e3 * looped:.2f} ms a step: "
        f"{bare / looped:.3f} of the bare step's speed (goal 0.97), {len(reporter.loop)} segments"
    )


def start_up(name: str) -> None:
    """Seconds from the command to the first finished step."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for i in range(4):
            command = [sys.executable, str(ROOT / "launch.py"), f"--experiment={name}"]
            command += [f"--workdir={folder}/{i}", f"--compilation_cache={folder}/cache"]
            command += [
                "--log_every=1",
                "--steps=2",
                "--eval_every=2",
                "--optimizer.warmup=0",
            ]
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for line in process.stdout:
                if line.startswith("step 1/"):
                    found.append(time.perf_counter() - began)
            process.wait()
    warm = statistics.median(found[1:])
    print(f"{name}: first step after {found[0]:.1f} s cold, {warm:.1f} s warm (goal 5 for LeNet-5)")


def convolution() -> None:
    """LeNet-5's update, batch 128, with the CPU's form of its convolutions and with XLA's."""
    experiment = config.replace(
        load("lenet5_digits", ROOT / "experiments"), {"data.batch_size": 128}
    )
    experiment = resolve(experiment, experiment.data.metadata())
    batch = sharding.put(experiment.data.train(0)[0], sharding.rows(sharding.make()))
    updates, times = {}, {"own": [], "XLA's": []}
    for name, algorithm in (
        ("own", conv.cpu_algorithm),
        ("XLA's", lambda *given: None),
    ):
        with unittest.mock.patch.object(conv, "cpu_algorithm", algorithm):
            state = jax.jit(train_state.make_init(experiment))()
            updates[name] = [loop.compile_step(experiment, state, sharding.make(), batch), state]
    for _ in range(20):
        for name, pair in updates.items():
            began = time.perf_counter()
            for _ in range(5):
                pair[1], metrics = pair[0](pair[1], batch)
            jax.block_until_ready(metrics)
            times[name].append(time.perf_counter() - began)
    own, plain = (1e3 * statistics.median(found) / 5 for found in times.values())
    print(f"LeNet-5 update, batch 128: {own:.1f} ms; {plain:.1f} ms with XLA's convolution")


def import_time() -> None:
    times: dict[str, list[float]] = {"flax.linen": [], "nets.lenet": []}
    for _ in range(9):
        for module, found in times.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
            found.append(time.perf_counter() - began)
    flax, ours = (statistics.median(found) for found in times.values())
    print(f"import: flax.linen {flax:.3f} s, nets.lenet {ours - flax:+.3f} s more (goal +0.050)")


class Weighing(Reporter):
    """Notes the memory of the process every thousand steps."""

    def __init__(self, workdir):
        super().__init__(workdir, RECORD)
        self.console.quiet = True
        self.seen: dict[int, float] = {}

    def tick(self, step):
        if step % 1000 == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.seen[step] = pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory() -> None:
    changes = {
        "steps": 10_000, "eval_every": 10**9, "save_every": 1000, "model.cell.features": 64,
        "data.batch_size": 16, "data.length": 32,
    }  # fmt: skip
    experiment = config.replace(load("char_lstm_python", ROOT / "experiments"), changes)
    experiment = resolve(experiment, experiment.data.metadata())
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.closing(Weighing(Path(folder))) as reporter:
            loop.fit(experiment, Path(folder), Signals(), reporter)
    shown = ", ".join(f"{step}: {mib:.0f}" for step, mib in reporter.seen.items())
    print(f"memory in MiB by step, char_lstm with 64 units, a checkpoint every 1000: {shown}")


if __name__ == "__main__":
    process.tune()
    parser = argparse.ArgumentParser()
    parser.add_argument("--data_dir", default=os.environ.get("NETS_TFDS_DIR"))
    data_dir = parser.parse_args().data_dir
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # of orbax
    device = jax.devices()[0].device_kind
    print(f"device: {device} x {jax.device_count()}, {os.cpu_count()} cores, jax {jax.__version__}")
    import_time()
    start_up("lenet5_digits")
    convolution()
    overhead("lenet5_mnist", data_dir, 2000)
    overhead("char_lstm_shakespeare", data_dir, 700)
    memory()
