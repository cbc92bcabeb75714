"""A run belongs to the code that it began with: edited code is told, never taken for the old."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.launching import ROOT, call, launch

OWN = '''"""An experiment of mine."""
import dataclasses
import flax.linen as nn
from helper import WIDTH
from nets.data.images import Images
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment
from nets.optim.optimizer import Optimizer


class Mine(nn.Module):
    num_classes: int | None = None

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(nn.Dense(WIDTH)(x.reshape(len(x), -1)))
        return nn.Dense(self.num_classes)(x)


def experiment():
    return Experiment(Mine(), Classify(), Images(), Optimizer(), steps=3)
'''
RUN = ("--experiment=mine.py", "--workdir=run", "--data.image_size=8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with an experiment and its finished run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(OWN)
    (folder / "helper.py").write_text("WIDTH = 4\n")
    launch(*RUN, cwd=folder, PYTHONPATH=str(folder))
    return folder


@pytest.fixture
def own(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "own")
    record = tmp_path / "own" / "run" / "config.json"
    record.write_text(record.read_text().replace(str(trained), str(tmp_path / "own")))
    return tmp_path / "own"


def config(folder):
    return json.loads((folder / "run" / "config.json").read_text())


def test_the_run_keeps_what_it_was_made_by(trained):
    record = config(trained)
    assert record["experiment"] == str(trained / "mine.py")
    assert (trained / "run" / "experiment.py").read_text() == OWN
    assert {"mine.py", "helper", "nets.tasks.classify", "nets.data.images"} <= record["code"].keys()
    assert not any(name.startswith(("nets.train", "flax", "jax")) for name in record["code"])
    assert record["git"].keys() == {"commit", "dirty"} and record["code_changes"] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [("mine.py", "nn.relu", "nn.tanh", "mine.py"), ("helper.py", "4", "5", "helper")],
)
def test_edited_code_is_refused_with_what_was_edited(own, file, old, new, named):
    (own / file).write_text((own / file).read_text().replace(old, new))
    for steps in ("--steps=3", "--steps=6"):
        _, err = launch(*RUN, steps, cwd=own, code=2, PYTHONPATH=str(own))
        assert f"was trained by has changed since: {named} (edited). Name" in err
        assert err.count("\n") == 1


@pytest.mark.slow
def test_changed_code_may_be_allowed_and_is_then_told_everywhere(own):
    edited, before = OWN.replace("nn.relu", "nn.tanh"), config(own)["code"]["mine.py"]
    (own / "mine.py").write_text(edited)
    environment = {"PYTHONPATH": str(own)}
    _, err = launch("eval", "--workdir=run", cwd=own, **environment)
    assert "warning: the code has changed since this run: mine.py (edited)" in err
    out, _ = launch(*RUN, "--steps=6", "--allow_changed_code", cwd=own, **environment)
    assert "warning: resuming with changed code: mine.py (edited)" in out
    assert "resuming with changed code" in (own / "run" / "log.txt").read_text()
    (change,) = config(own)["code_changes"]
    assert change.endswith(": mine.py (edited)") and change.partition(":")[2]
    assert change in (own / "run" / "report.html").read_text()
    assert (own / "run" / "experiment.py").read_text() == edited
    (old,) = (own / "run").glob("experiment-*.py")
    assert old.read_text() == OWN and old.stem == f"experiment-{before[:8]}"
    launch(*RUN, "--steps=9", cwd=own, **environment)  # this code is now that of the run
    assert config(own)["code_changes"] == [change]


def test_another_folders_file_of_that_name_is_never_taken(own, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.py").write_text(OWN.replace("WIDTH", "7").replace("from helper import 7\n", ""))
    out, _ = launch("eval", f"--workdir={own / 'run'}", cwd=other, PYTHONPATH=str(own))
    assert "test: " in out  # of the network that was trained, though mine.py here is another
    arguments = ["--experiment=mine.py", f"--workdir={own / 'run'}", "--data.image_size=8"]
    _, err = launch(*arguments, cwd=other, code=2)
    assert f"holds a run of {own / 'mine.py'}, not of {other / 'mine.py'}" in err
    (own / "mine.py").unlink()
    _, err = launch("eval", f"--workdir={own / 'run'}", cwd=other, code=2)
    assert f"A copy of the run's own is {own / 'run' / 'experiment.py'}." in err


def test_an_error_of_the_system_in_ones_own_code_shows_where(own):
    broken = OWN.replace(
        "        x = nn.relu", '        open("nowhere/weights.bin")\n        x = nn.relu'
    )
    (own / "mine.py").write_text(broken)
    line = broken.splitlines().index('        open("nowhere/weights.bin")') + 1
    _, err = launch(*RUN, "--allow_changed_code", cwd=own, code=1, PYTHONPATH=str(own))
    assert err.count("\n") == 1 and "No such file or directory: 'nowhere/weights.bin'" in err
    assert f"(at {own / 'mine.py'}:{line}; the traceback is in run/log.txt)" in err
    assert "Traceback" in (own / "run" / "log.txt").read_text()


@pytest.mark.slow
def test_a_seed_that_diverges_is_explained_and_its_batch_kept_in_its_own_folder(tmp_path):
    arguments = ["--experiment=mlp_digits", "--steps=9", "--seed=3,4", "--workdir=both"]
    ruin = ["--optimizer.rule=sgd", "--optimizer.learning_rate=1e30"]
    _, err = launch(*arguments, *ruin, "--debug_nans", cwd=tmp_path, code=1)
    (kept,) = tmp_path.rglob("not-finite-*.npz")
    assert kept.parent == tmp_path / "both" / "seed=3"
    assert re.search(
        rf"error: \w+ is \w+ at step \d+; first in .* saved in both/seed=3/{kept.name}", err
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process has loaded")
def test_an_interrupt_while_modules_are_imported_is_a_line(tmp_path):
    process = call("--experiment=mlp_digits", cwd=tmp_path, NETS_TUNE="0")
    maps = Path(f"/proc/{process.pid}/maps")
    while process.poll() is None and "jaxlib" not in maps.read_text():
        pass
    process.send_signal(2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and re.fullmatch("stopped by SIGINT.*\n", err)
    assert list(tmp_path.iterdir()) == []


def test_tuning_can_be_left_out(monkeypatch):
    from nets.cli import process

    monkeypatch.setenv("NETS_TUNE", "0")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(process.os, "execv", lambda *_: pytest.fail("started anew"))
    process.tune()
    assert "XLA_FLAGS" not in process.os.environ
    assert "NETS_TUNE=0" in (ROOT / "README.md").read_text()
    monkeypatch.delenv("NETS_TUNE")
    monkeypatch.setattr(process.os, "execv", lambda *_: None)
    process.tune()
    assert "XLA_FLAGS" in process.os.environ  # undone by monkeypatch
