"""Checkpoints that were cut, bent or changed on disk, and what fits what."""

import contextlib
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.errors import UserError
from nets.train.checkpoint import Checkpoints, describe, flatten, unflatten


def arrays(step):
    rng = np.random.default_rng(step)
    return {
        "params/a/kernel": rng.normal(size=(64, 32)).astype(np.float32),
        "params/a/half": rng.normal(size=7).astype(jnp.bfloat16),
        "step": np.asarray(step, np.int32),
    }


@pytest.fixture
def folder(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (1, 2):
        checkpoints.save(step, arrays(step), {"n": step + 0.1}, None)
    checkpoints.wait()
    checkpoints.close()
    return tmp_path / "checkpoints"


def newest(folder, warn=pytest.fail):
    with contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints:
        return checkpoints.newest(warn)


def same(a, b):
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].tobytes() == b[k].tobytes() for k in a
    )


def biggest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def test_a_checkpoint_reads_back_as_it_was_written(folder):
    step, found, progress = newest(folder)
    assert step == 2 and progress == {"n": 2.1} and same(found, arrays(2))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# after a first failed read orbax closes its event loop, and tensorstore's other reads complain
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("harm", [truncate, flip, os.unlink])
def test_a_damaged_newest_is_named_and_the_one_before_is_used(folder, harm):
    harm(biggest(folder / "2" / "state"))
    warned = []
    step, found, _ = newest(folder, warned.append)
    assert step == 1 and same(found, arrays(1))
    assert len(warned) == 1 and str(folder / "2") in warned[0] and "damaged" in warned[0]


def test_every_flipped_bit_of_the_values_is_noticed(folder):
    """Uncompressed content is bent too, where no checksum of a file format could help."""
    table = {path: describe(x) for path, x in arrays(2).items()}
    rng = np.random.default_rng(0)
    for path, x in arrays(2).items():
        for _ in range(20):
            bent = bytearray(x.tobytes())
            bit = rng.integers(8 * len(bent))
            bent[bit // 8] ^= 1 << (bit % 8)
            assert describe(np.frombuffer(bytes(bent), x.dtype).reshape(x.shape)) != table[path]


def test_a_half_written_one_is_not_met_and_is_cleared_away(folder):
    torn = folder / "3.orbax-checkpoint-tmp"
    (torn / "state").mkdir(parents=True)
    (torn / "state" / "manifest.ocdbt").write_bytes(b"half")
    assert newest(folder)[0] == 2
    with_cleaning = Checkpoints(folder)
    with_cleaning.save(3, arrays(3), {}, None)
    with_cleaning.close()
    assert Checkpoints(folder, read_only=True).steps() == [2, 3]


def test_later_ones_that_were_passed_over_are_set_aside(folder):
    flip(biggest(folder / "2" / "state"))
    checkpoints = Checkpoints(folder)
    checkpoints.set_aside(1)
    assert checkpoints.steps() == [1] and (folder.parent / "damaged" / "2" / "state").is_dir()
    checkpoints.save(2, arrays(2), {}, None)
    checkpoints.close()
    assert newest(folder)[0] == 2


@pytest.mark.parametrize("maximise", [False, True])
def test_newest_two_and_best_are_kept_also_after_a_restart(tmp_path, maximise):
    sign = 1 if maximise else -1
    for steps in ((1, 2, 3), (4, 5, 6)):
        checkpoints = Checkpoints(tmp_path / "c", maximise)
        for step in steps:
            score = {1: sign * 1.0, 2: sign * 5.0}.get(step)
            checkpoints.save(step, arrays(step), {}, score)
            checkpoints.wait()
        checkpoints.close()
    assert Checkpoints(tmp_path / "c", read_only=True).steps() == [2, 5, 6]


def test_what_does_not_fit_is_refused_with_a_table():
    have = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float32), "old": np.zeros(1)}
    want = {
        "a": jax.ShapeDtypeStruct((2, 5), jnp.float32),
        "b": jax.ShapeDtypeStruct((4,), jnp.bfloat16),
        "new": jax.ShapeDtypeStruct((), jnp.int32),
    }
    with pytest.raises(UserError) as refusal:
        unflatten(want, have, "checkpoint 7")
    lines = str(refusal.value).splitlines()
    assert lines[0].startswith("checkpoint 7 does not fit") and len(lines) == 5
    assert "a: checkpoint has float32[2, 3], this experiment needs float32[2, 5]" in lines[1]
    assert "b: checkpoint has float32[4], this experiment needs bfloat16[4]" in lines[2]
    assert "new: checkpoint has nothing" in lines[3]
    assert "old: checkpoint has float64[1], this experiment needs nothing" in lines[4]


def test_the_structure_survives():
    tree = {"x": (jnp.ones(2), None), "y": {"z": jnp.zeros(())}}
    assert set(flatten(tree)) == {"x/0", "y/z"}
    again = unflatten(tree, {k: np.asarray(v) for k, v in flatten(tree).items()}, "")
    assert jax.tree.structure(again) == jax.tree.structure(tree)


_FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from nets.train.checkpoint import Checkpoints
checkpoints = Checkpoints(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    checkpoints.save(3, {"x": np.random.default_rng(0).normal(size=100_000)}, {}, None)
    checkpoints.wait()
except Exception as error:
    print(type(error).__name__, error)
    sys.exit(3)
"""


def test_a_disk_that_takes_no_more_is_an_error_and_harms_nothing(folder):
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3 and "arge" in done.stdout, done.stdout + done.stderr
    step, found, _ = newest(folder)
    assert step == 2 and same(found, arrays(2))
