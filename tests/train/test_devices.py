"""One device, eight simulated devices, two processes: the same training."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nets.cli.verify import differences
from nets.errors import UserError
from nets.report import metrics_log
from nets.train import resume, sharding

ROOT = Path(__file__).parent.parent.parent
EIGHT = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
RUN = (
    "--experiment=lenet5_digits", "--steps=40", "--eval_every=10", "--save_every=10",
    "--data.batch_size=32", "--data.eval_batch_size=120", "--log_every=5",
    "--optimizer.warmup=5", "--optimizer.schedule=constant",
)  # fmt: skip


def start(*command, cwd=ROOT, **environment):
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, (process.returncode, out, err)
    return out


@pytest.mark.parametrize(
    ("kind", "dtype", "tolerance"),
    [
        pytest.param("classifier", "float64", 1e-9, marks=pytest.mark.slow),  # with dropout
        ("language_model", "float64", 1e-9),  # with a recurrent carry
        pytest.param("lenet", "float32", 1e-5, marks=pytest.mark.slow),
    ],
)
def test_eight_devices_give_the_curve_of_one(kind, dtype, tolerance):
    script = ROOT / "tests" / "support" / "curve.py"
    one, eight = (
        json.loads(finish(start(script, kind, dtype, **environment)))
        for environment in ({"XLA_FLAGS": ""}, EIGHT)
    )
    assert (one["devices"], eight["devices"]) == (1, 8)
    np.testing.assert_allclose(one["losses"], eight["losses"], rtol=0, atol=tolerance)
    assert one["losses"][-1] < 0.9 * one["losses"][0]


def launch(*arguments, cwd, code=0, **environment):
    return finish(start(ROOT / "launch.py", *RUN, *arguments, cwd=cwd, **environment), code)


def assert_same(run, other):
    """Two finished runs have the same losses and arrays, to rounding."""
    rows, others = (metrics_log.read(folder / "metrics.jsonl") for folder in (run, other))
    assert [(r["step"], r["split"]) for r in rows] == [(r["step"], r["split"]) for r in others]
    np.testing.assert_allclose([r["loss"] for r in rows], [r["loss"] for r in others], atol=1e-5)
    (step, arrays, _), (last, wanted, _) = (resume.newest(folder, print) for folder in (run, other))
    assert step == last == 40 and arrays.keys() == wanted.keys()
    for path, array in wanted.items():
        close = 1e-3 * np.abs(array).max()
        np.testing.assert_allclose(arrays[path], array, rtol=0, atol=close, err_msg=path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    launch("--workdir=run", cwd=folder)
    return folder / "run"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({}, EIGHT, marks=pytest.mark.slow, id="to eight"),
        pytest.param(EIGHT, {}, id="to one"),
    ],
)
def test_a_checkpoint_moves_between_one_and_eight_devices(first, second, alone, tmp_path):
    launch("--steps=20", "--workdir=run", cwd=tmp_path, **first)
    launch("--workdir=run", cwd=tmp_path, **second)
    assert_same(tmp_path / "run", alone)


def two(*arguments, cwd):
    """Two processes on loopback that train together."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    joined = (f"--coordinator=127.0.0.1:{port}", "--num_processes=2", "--distributed")
    return [
        start(ROOT / "launch.py", *RUN, *arguments, *joined, f"--process_id={i}", cwd=cwd)
        for i in (0, 1)
    ]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A folder with the finished run of two processes, and what each of them said."""
    folder = tmp_path_factory.mktemp("together")
    return folder / "run", [finish(process) for process in two("--workdir=run", cwd=folder)]


def test_two_processes_train_as_one(alone, together):
    run, outs = together
    assert "test accuracy" in outs[0] and "step" not in outs[1]  # one of them speaks and writes
    assert_same(run, alone)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == len({(row["step"], row["split"]) for row in rows})


@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_one_of_two_is_signalled_and_both_stop_at_one_step(signum, code, together, tmp_path):
    run = tmp_path / "run"
    processes = two("--workdir=run", "--save_every=1000", cwd=tmp_path)
    while not (run / "tensorboard").exists() and processes[0].poll() is None:
        time.sleep(0.01)
    processes[1].send_signal(signum)
    for process in processes:
        finish(process, code)
    stopped = resume.newest(run, print)[0]
    assert 0 < stopped < 40
    for process in two("--workdir=run", "--save_every=1000", cwd=tmp_path):
        finish(process)
    assert differences(together[0], run) == []


def test_a_signal_while_two_compile_leaves_nothing_behind(tmp_path):
    processes = two("--workdir=run", "--compilation_cache=none", cwd=tmp_path)
    while not (tmp_path / "run" / ".lock").exists() and processes[0].poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    processes[1].send_signal(signal.SIGTERM)
    for process in processes:
        finish(process, 143)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_does_not_divide_names_the_nearest(monkeypatch):
    class Mesh:
        size = 8

    with pytest.raises(UserError, match=r"must divide over 8 devices, got 60; .* 56 or 64\."):
        sharding.check("data.batch_size", 60, Mesh)
    with pytest.raises(UserError, match=r"8 devices x 3 micro-batches.* 48 or 72\."):
        sharding.check("data.batch_size", 64, Mesh, 3)
    sharding.check("data.batch_size", 64, Mesh, 2)
