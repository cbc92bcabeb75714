"""launch.py in a new process or in this one, and arguments of small runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SMALL = (
    "--experiment=lenet5_digits", "--steps=60", "--eval_every=20", "--save_every=5",
    "--data.batch_size=32", "--log_every=7", "--optimizer.warmup=5",
)  # fmt: skip
CHARS = (
    "--experiment=char_lstm_python", "--steps=60", "--eval_every=30", "--save_every=5",
    "--model.cell.features=16", "--model.embed=8", "--data.batch_size=8", "--data.length=16",
    "--data.eval_batch_size=8", "--data.path={text}", "--model.dropout=0.1",
    "--task.sample_length=20", "--task.k2=24", "--optimizer.warmup=5",
)  # fmt: skip


def call(*arguments, cwd, **environment):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "launch.py"), *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def launch(*arguments, cwd, code=0, **environment):
    process = call(*arguments, cwd=cwd, **environment)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, out + err
    return out, err


def main(*arguments):
    """launch.py in this process: for mistakes that are reported before anything runs."""
    import launch

    return launch.main(["launch.py", *arguments])


def chars(folder):
    return [argument.format(text=folder / "text.txt") for argument in CHARS]
