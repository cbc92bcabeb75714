"""The allocator keeps its pages: counted in page faults, in processes of their own."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from nets.train import allocator
if sys.argv[1] == "keep":
    allocator.keep_pages()
import numpy as np
x = np.ones(300_000, np.float32)
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
x + 1
before = faults()
for _ in range(100):
    x + 1
print(faults() - before)
"""


def run(code: str, *argv: str, **environment: str) -> str:
    left = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
    command = [sys.executable, "-c", code, *argv]
    return subprocess.check_output(command, env=left | environment, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_temporaries_of_numpy_fault_no_more():
    assert int(run(FAULTS, "keep")) < 0.1 * int(run(FAULTS, "plain"))


def test_the_users_own_setting_stands():
    code = "from nets.train import allocator as a; a.keep_pages(); import os; print(os.environ[K])"
    found = run(f"K = 'GLIBC_TUNABLES'; {code}", GLIBC_TUNABLES="glibc.malloc.arena_max=3")
    assert found.strip() == "glibc.malloc.arena_max=3"
