"""Entries that a killed process tore are deleted; those of a running one are left alone."""

import os
import subprocess
import sys

from nets.cli.compilation_cache import delete_torn
from tests.support.launching import ROOT

WRITER = """
import os, sys
from pathlib import Path
from nets.cli.compilation_cache import use_cache
use_cache(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
"""


def start(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_a_killed_process_tore_is_deleted_and_nothing_else(tmp_path):
    from jax._src.compilation_cache import compress_executable

    before, whole, torn = (tmp_path / f"{name}-cache" for name in ("before", "whole", "torn"))
    before.write_bytes(b"torn long ago")
    os.utime(before, (1, 1))
    process = start(tmp_path)
    entry = compress_executable(b"a program" * 99)
    whole.write_bytes(entry)
    torn.write_bytes(entry[: len(entry) // 2])
    assert delete_torn(tmp_path) == [] and torn.exists()  # its writer may be about to end it
    process.kill()
    process.communicate()
    assert delete_torn(tmp_path) == [torn]
    assert before.exists() and whole.exists() and not torn.exists()
    assert delete_torn(tmp_path) == [] and not list(tmp_path.glob("writer-*"))


def test_a_process_that_ends_leaves_no_mark(tmp_path):
    process = start(tmp_path)
    assert len(list(tmp_path.glob("writer-*"))) == 1
    process.communicate("\n")
    assert process.returncode == 0 and list(tmp_path.iterdir()) == []
