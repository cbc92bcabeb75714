"""Workers that run tests in parallel each collect them, and must find the same names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_no_test_id_depends_on_time_hash_seed_or_addresses(request):
    """Collected again, later, in another process and with another seed of Python's hashes."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", ""],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
    )
    again = {line for line in done.stdout.splitlines() if "::" in line}
    assert {item.nodeid for item in request.session.items} <= again, done.stdout[-2000:]
