"""How a process is set up, seen from processes of their own."""

import os
import subprocess
import sys

import pytest

from nets.cli import process

FAULTS = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from nets.cli import process
if sys.argv[1] == "keep":
    process.tune()
import numpy as np
x = np.ones(int(sys.argv[2]), np.float32)
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():  # XLA works in threads of its own
    x + 1
    before = faults()
    for _ in range(20):
        x + 1
    return faults() - before
with ThreadPoolExecutor() as pool:
    print(pool.submit(work).result())
"""

CONVOLUTION = """
import sys
from nets.cli import process
if sys.argv[1] == "tuned":
    process.tune()
import jax
x, kernel = (jax.ShapeDtypeStruct(s, "float32") for s in ((8, 16, 16, 32), (3, 3, 32, 32)))
how = {"padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
conv = jax.jit(lambda x, kernel: jax.lax.conv_general_dilated(x, kernel, (1, 1), **how))
print(conv.lower(x, kernel).compile().as_text().count("ynn_fusion"))
"""


def run(code: str, *argv: str, **environment: str) -> str:
    left = {k: v for k, v in os.environ.items() if k not in ("GLIBC_TUNABLES", "XLA_FLAGS")}
    command = [sys.executable, "-c", code, *argv]
    return subprocess.check_output(command, env=left | environment, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
@pytest.mark.parametrize("floats", ["300000", "20000000"])  # 1 and 80 MB
def test_temporaries_of_numpy_fault_no_more(floats):
    plain, kept = (int(run(FAULTS, how, floats)) for how in ("plain", "keep"))
    assert kept < 0.1 * plain


@pytest.mark.slow
@pytest.mark.xla
def test_convolutions_are_not_left_to_a_library_that_keeps_one_core():
    on_cpu = {"JAX_PLATFORMS": "cpu"}
    assert int(run(CONVOLUTION, "plain", **on_cpu)) > 0
    assert int(run(CONVOLUTION, "tuned", **on_cpu)) == 0


SETTINGS = """
import os
from nets.cli import process
process.tune()
print(os.environ["GLIBC_TUNABLES"], os.environ["XLA_FLAGS"], sep="\\n")
"""


def test_the_users_own_settings_stand():
    own = {
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=3",
        "XLA_FLAGS": f"{process.LIBRARY}=reduce",
    }
    assert run(SETTINGS, **own).split("\n")[:2] == list(own.values())


def test_flags_of_the_user_are_added_to():
    found = run(SETTINGS, GLIBC_TUNABLES="", XLA_FLAGS="--xla_force_host_platform_device_count=2")
    assert found.split("\n")[1] == (
        f"--xla_force_host_platform_device_count=2 {process.LIBRARY}=-individual_convolution"
    )
