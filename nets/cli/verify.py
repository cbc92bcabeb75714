"""Whether a run that is killed ends as one that is not."""

import functools
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nets.cli.parse import Command
from nets.report import metrics_log
from nets.train import resume
from nets.train.signals import Signals


def verify_resume(command: Command, signals: Signals) -> int:
    """Trains twice, once undisturbed and once killed and resumed, and compares every bit.

    The second is killed while it trains, after a share of the time that the first trained for. 0
    if they are the same, 1 if they differ or the second had ended before.
    """
    experiment = command.experiment
    arguments = [f"--{path}={text}" for path, text in command.changes(experiment).items()]
    arguments += [f"--compilation_cache={command.options.compilation_cache or 'none'}"]
    launch = [sys.executable, str(command.folder.parent / "launch.py"), "train"]
    with tempfile.TemporaryDirectory() as folder:
        calm, killed = Path(folder) / "undisturbed", Path(folder) / "killed"
        call = [*launch, f"--experiment={command.name}", *arguments]
        quiet = {"stdout": subprocess.DEVNULL}
        subprocess.run([*call, f"--workdir={calm}"], check=True, **quiet)
        trained_s = json.loads((calm / "result.json").read_text())["elapsed_s"]
        process = subprocess.Popen([*call, f"--workdir={killed}"], **quiet)
        _wait(process, lambda: (killed / "tensorboard").exists())  # compiled: it begins to train
        began = time.monotonic()
        end = began + random.uniform(0.1, 0.7) * trained_s
        _wait(process, lambda: time.monotonic() > end)
        process.send_signal(signal.SIGKILL)
        if (code := process.wait()) != -signal.SIGKILL:
            print(f"nothing was interrupted: the run to be killed had ended (exit code {code}); "
                  "more --steps give it time")  # fmt: skip
            return 1
        print(f"the undisturbed run trained for {trained_s:.1f} s, the other was stopped by "
              f"SIGKILL after {time.monotonic() - began:.1f} s")  # fmt: skip
        subprocess.run([*call, f"--workdir={killed}"], check=True, **quiet)
        differing = differences(calm, killed)
    for line in differing:
        print(f"differs: {line}")
    print("NOT the same" if differing else "the same, bit for bit: every array, every metric")
    return 1 if differing else 0


def _wait(process: subprocess.Popen, done: Callable[[], bool]) -> None:
    """Until it is done, or the process has ended."""
    while process.poll() is None and not done():
        time.sleep(0.005)


def differences(one: Path, other: Path) -> list[str]:
    """In what two finished runs differ: arrays of the newest checkpoint, lines of metrics.jsonl."""
    warn = functools.partial(print, "warning:", file=sys.stderr)
    (step, arrays, _), (step2, arrays2, _) = (resume.newest(run, warn) for run in (one, other))
    differing = [f"newest step: {step} and {step2}"] if step != step2 else []
    for path in sorted(arrays.keys() | arrays2.keys()):
        a, b = arrays.get(path), arrays2.get(path)
        if a is None or b is None or a.tobytes() != b.tobytes():
            differing.append(f"array {path}")
    rows, rows2 = (
        [metrics_log.seconds_free(row) for row in metrics_log.read(run / "metrics.jsonl")]
        for run in (one, other)
    )
    pairs = zip(rows, rows2, strict=False)
    differing += [f"line {i + 1} of metrics.jsonl" for i, (a, b) in enumerate(pairs) if a != b]
    if len(rows) != len(rows2):
        differing.append(f"number of lines of metrics.jsonl: {len(rows)} and {len(rows2)}")
    return differing
