"""launch.py as a person runs it: in a process of its own, from its beginning to its end."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nets.cli import verify
from nets.cli.verify import differences
from nets.report import metrics_log
from tests.support.launching import ROOT, SMALL, call, chars, launch, main


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A directory with a text and finished runs of both kinds."""
    folder = tmp_path_factory.mktemp("room")
    words = np.random.default_rng(0).choice("the cat sat on a mat and ran".split(), 6000)
    (folder / "text.txt").write_text(" ".join(words))
    launch(*SMALL, "--workdir=digits", cwd=folder)
    launch(*chars(folder), "--workdir=chars", cwd=folder)
    return folder


def test_list_answers_at_once_and_names_every_experiment(tmp_path):
    """At once: without jax, numpy and flax, whose import takes seconds."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / "launch.py", "list"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "nets.cli.catalogue" in imported and not imported & {"jax", "numpy", "flax"}
    out = told.stdout
    for path in (ROOT / "experiments").rglob("*.py"):
        assert path.stem in out


def test_a_run_leaves_what_it_promises(room):
    run = room / "digits"
    for name in ("config.json", "metrics.jsonl", "log.txt", "report.html", "result.json"):
        assert (run / name).is_file(), name
    assert {p.stem for p in (run / "pictures").glob("*.png")} >= {
        "curves", "confusion", "filters", "mistakes"
    }  # fmt: skip
    assert list((run / "tensorboard").iterdir())
    page = (run / "report.html").read_text()
    assert "data:image/png;base64," in page and not re.search(r'(src|href)="http', page)
    rows = metrics_log.read(run / "metrics.jsonl")
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    for row in rows:
        assert {"step", "split", "loss", "accuracy"} <= row.keys()
    assert (room / "chars" / "pictures" / "cells.html").is_file()


def test_the_same_command_again_says_that_it_is_finished(room, capsys):
    before = {p: p.stat().st_mtime_ns for p in (room / "digits").rglob("*") if p.name != ".lock"}
    assert main(*SMALL, f"--workdir={room / 'digits'}") == 0
    out = capsys.readouterr().out
    assert "is finished" in out and "test accuracy" in out and "--steps=120" in out
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_eval_and_sample_need_only_the_work_directory(room, capsys):
    result = json.loads((room / "digits" / "result.json").read_text())
    out, _ = launch("eval", "--workdir=digits", cwd=room)
    assert f"loss {result['test']['loss']:.6g}" in out.partition("test:")[2]
    first, _ = launch("sample", "--workdir=chars", "--prompt=the c", "--length=30", cwd=room)
    assert main("sample", f"--workdir={room / 'chars'}", "--prompt=the c", "--length=30") == 0
    again = capsys.readouterr().out
    assert first == again and first.startswith("the c") and len(first) == 5 + 30 + 1


def test_show_tells_the_same_as_json(capsys):
    assert main("show", "--experiment=lenet5_digits", "--format=json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["parameters"] == 61_706 and shown["config"]["model.num_classes"] == 10
    assert sum(layer["parameters"] for layer in shown["layers"]) == 61_706
    assert shown["multiply_adds"] == 416_520  # C1 117,600; C3 240,000; 48,000; 10,080; 840
    assert main("show", "--experiment=lenet5_digits") == 0
    text = capsys.readouterr().out
    assert "61,706" in text and "416,520" in text


def test_a_warm_up_longer_than_the_run_is_told(room, tmp_path, capsys):
    short = ("--steps=15", "--optimizer.warmup=60", "--optimizer.schedule=constant")
    assert main(*SMALL, *short, f"--workdir={tmp_path / 'run'}") == 0
    out = capsys.readouterr().out
    assert "60 steps is longer than the run of 15: the learning rate only rises, to 25%" in out
    rates = [r["learning_rate"] for r in metrics_log.read(tmp_path / "run" / "metrics.jsonl")
             if r["split"] == "train"]  # fmt: skip
    assert max(rates) < 0.25 * 0.002
    assert "only rises" not in (room / "digits" / "log.txt").read_text()


def test_another_vocabulary_is_refused(room, tmp_path, capsys):
    """Of the same size: without a word, its ids would be taken for those of the run."""
    other = tmp_path / "other.txt"
    text = (room / "text.txt").read_text()
    other.write_text(text.replace("c", "z"))
    arguments = [*chars(room), f"--data.path={other}", f"--workdir={tmp_path / 'run'}"]
    run = room / "chars"
    assert main(*arguments, f"--init_from={run}") == 2
    size = len(set(text))
    expected = f"vocabulary, of {size} symbols, is not that of {{}}, of {size}: its ids would mean"
    assert expected.format(f"--init_from={run}") in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main("eval", f"--workdir={run}", f"--data.path={other}") == 2
    assert expected.format("the run") in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["digits", pytest.param("chars", marks=pytest.mark.slow)])
def test_killed_three_times_it_ends_bit_identical(kind, room, tmp_path):
    arguments = [*(SMALL if kind == "digits" else chars(room)), f"--workdir={tmp_path / 'run'}"]
    instants = random.Random(kind)
    for steps in (0, 5, 20):  # while it starts, and twice while it trains
        process = call(*arguments, cwd=tmp_path)
        while not reached(tmp_path / "run", steps) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(instants.uniform(0, 0.1))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    launch(*arguments, cwd=tmp_path)
    assert differences(room / kind, tmp_path / "run") == []


def reached(run, steps):
    """Whether the run has begun, and has saved a checkpoint of that step or a later one."""
    saved = [int(p.name) for p in (run / "checkpoints").glob("*") if p.name.isdigit()]
    return (run / ".lock").exists() and max(saved, default=0) >= steps


@pytest.mark.parametrize(
    ("signum", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_leaves_with_its_code(signum, code, room, tmp_path):
    arguments = [*SMALL, "--save_every=60", f"--workdir={tmp_path / 'run'}"]
    process = call(*arguments, cwd=tmp_path)
    while not (tmp_path / "run" / "tensorboard").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signum)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    launch(*arguments, cwd=tmp_path)
    assert differences(room / "digits", tmp_path / "run") == []


def test_a_signal_while_compiling_leaves_nothing_behind(tmp_path):
    arguments = [*SMALL, "--compilation_cache=none", "--model.num_classes=10", "--workdir=run"]
    process = call(*arguments, cwd=tmp_path)
    while not (tmp_path / "run" / ".lock").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)  # the state's first values are being compiled
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, out + err
    assert list(tmp_path.iterdir()) == []


def test_two_processes_on_one_directory(tmp_path, capsys):
    arguments = [*SMALL, "--steps=100000", f"--workdir={tmp_path / 'run'}"]
    first = call(*arguments, cwd=tmp_path)
    while not (tmp_path / "run" / "metrics.jsonl").exists() and first.poll() is None:
        time.sleep(0.05)
    assert main(*arguments) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(rf".*run is in use by another process \(pid {first.pid}\)\.\n", err)
    first.kill()
    first.communicate()


@pytest.mark.slow
def test_a_torn_entry_of_the_compilation_cache_is_replaced(tmp_path):
    arguments = [*SMALL, "--steps=5", f"--compilation_cache={tmp_path / 'cache'}"]
    out, _ = launch(*arguments, "--workdir=a", cwd=tmp_path)
    assert "only rises" not in out  # the warm-up ends with the run
    entry = max((tmp_path / "cache").glob("*-cache"), key=lambda p: p.stat().st_size)
    whole = entry.stat().st_size
    entry.write_bytes(entry.read_bytes()[: whole // 2])
    assert list((tmp_path / "cache").glob("writer-*")) == []
    (tmp_path / "cache" / "writer-killed").touch()
    os.utime(tmp_path / "cache" / "writer-killed", (0, 0))  # its process began before
    launch(*arguments, "--workdir=b", cwd=tmp_path)
    assert list((tmp_path / "cache").glob("writer-*")) == []
    assert entry.stat().st_size > whole * 0.9
    _, err = launch(*arguments, "--workdir=c", cwd=tmp_path)
    assert "persistent" not in err
    assert differences(tmp_path / "a", tmp_path / "c") == []


@pytest.mark.slow
def test_a_file_that_cannot_grow_is_told_and_harms_no_checkpoint(room, tmp_path):
    shutil.copytree(room / "digits", tmp_path / "run")
    limited = ["bash", "-c", 'ulimit -f 150; exec "$0" "$@"', sys.executable, ROOT / "launch.py"]
    arguments = [*SMALL, "--steps=80", f"--workdir={tmp_path / 'run'}"]
    limited += [*arguments, "--compilation_cache=none"]
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    # tensorstore's threads write to the terminal at the same time, also within this line
    assert re.search(r"error: .*checkpoint.* could not be written: .*too large", done.stderr)
    assert main(*arguments) == 0  # goes on from what was there


def test_a_full_disk_is_told_in_one_line(room, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        shutil.copytree(room / "digits", disk / "run")
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 400_000))
        arguments = [*SMALL, "--steps=80", f"--workdir={disk / 'run'}"]
        _, err = launch(*arguments, cwd=disk, code=1)
        said = r"error: checkpoint \d+ needs ([\d,]+) bytes, the disk has ([\d,]+) left"
        needed, left = (int(n.replace(",", "")) for n in re.search(said, err).groups())
        assert needed > left
        assert "Traceback" not in err
        (disk / "filler").unlink()
        assert main(*arguments) == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.dropout=0.3"], "differs in: model.dropout (0.2 there, 0.3 now)"),
        (["--seed=3"], "differs in: seed (0 there, 3 now)"),
        (["--data.rotate=5"], "differs in: data.rotate"),
        (["--steps=20"], "--steps must be at least 60, which"),
        (["--experiment=mlp_digits"], "holds a run of lenet5_digits, not of mlp_digits"),
    ],
)
def test_a_directory_of_another_run_is_refused_untouched(arguments, message, room, capsys):
    before = {p: p.stat().st_mtime_ns for p in (room / "digits").rglob("*")}
    assert main(*SMALL, *arguments, f"--workdir={room / 'digits'}") == 2
    assert message in capsys.readouterr().err
    assert before == {p: p.stat().st_mtime_ns for p in (room / "digits").rglob("*")}


def test_a_run_may_be_extended(room, tmp_path, capsys):
    shutil.copytree(room / "chars", tmp_path / "longer")
    assert main(*chars(room), "--steps=80", f"--workdir={tmp_path / 'longer'}") == 0
    assert "cosine" in capsys.readouterr().out  # the schedule now spans more steps, which is said
    rows = metrics_log.read(tmp_path / "longer" / "metrics.jsonl")
    assert [r["step"] for r in rows if r["split"] == "test"] == [80]


def test_several_seeds_end_with_mean_and_spread(tmp_path, capsys):
    arguments = [*SMALL, "--steps=20", "--seed=0,1", f"--workdir={tmp_path / 'both'}"]
    assert main(*arguments) == 0
    out = capsys.readouterr().out
    results = [
        json.loads((tmp_path / "both" / f"seed={s}" / "result.json").read_text()) for s in (0, 1)
    ]
    mean = np.mean([r["test"]["accuracy"] for r in results])
    assert f"test accuracy: {mean:.6g} +-" in out
    table = json.loads((tmp_path / "both" / "seeds.json").read_text())
    assert [run["test"] for run in table["runs"]] == [r["test"] for r in results]
    assert (tmp_path / "both" / "seeds.html").is_file() and "both/seeds.html" in out


def test_an_experiment_may_lie_anywhere_and_flags_in_a_file(tmp_path, monkeypatch):
    source = (ROOT / "experiments" / "images" / "mlp_digits.py").read_text()
    (tmp_path / "mine.py").write_text(source.replace("(256, 128)", "(32,)"))
    (tmp_path / "flags.txt").write_text("--experiment=mine.py\n--steps=12\n--eval_every=6\n")
    monkeypatch.chdir(tmp_path)
    assert main("--flagfile=flags.txt", "--optimizer.learning_rate=0.01") == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name == "mine-optimizer.learning_rate=0.01-steps=12-eval_every=6"
    assert json.loads((run / "config.json").read_text())["config"]["model.widths"] == [32]


def test_help_begins_with_the_flags_that_people_change_first(capsys):
    assert main("--experiment=lenet5_digits", "--help") == 0
    out = capsys.readouterr().out
    assert "--model.pooling" in out and "average or max pooling of 2x2 units" in out
    assert "--optimizer.clip_norm" in out and "(default: cosine)" in out
    listed = re.findall(r"^  --([\w.]+)=", out, re.MULTILINE)
    first = ["steps", "epochs", "data.batch_size", "optimizer.learning_rate", "workdir", "seed"]
    assert listed[:6] == first and len(listed) == len(set(listed))
    parts = [path.partition(".")[0] for path in listed[6:] if "." in path]
    assert list(dict.fromkeys(parts)) == ["model", "task", "data", "optimizer", "average"]
    assert parts == sorted(parts, key=["model", "task", "data", "optimizer", "average"].index)
    assert out.index("the run:") < out.index("--average=none|ema|") < out.index("--average.decay=")


@pytest.mark.slow  # three processes after one another
def test_verify_resume(tmp_path):
    out, _ = launch("verify-resume", *SMALL, cwd=tmp_path)
    assert "stopped by SIGKILL" in out and "the same, bit for bit" in out
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_verify_resume_says_when_nothing_was_interrupted(monkeypatch, capsys):
    monkeypatch.setattr(verify.random, "uniform", lambda low, high: 1e9)
    assert main("verify-resume", "--experiment=mlp_digits", "--steps=2") == 1
    out = capsys.readouterr().out
    assert "nothing was interrupted" in out and "the same" not in out


def test_the_readmes_own_experiment_runs(tmp_path, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (source,) = (block for block in blocks if "def experiment" in block)
    (tmp_path / "mine.py").write_text(source)
    mine = f"--experiment={tmp_path / 'mine.py'}"
    assert main(mine, "--steps=100", "--model.width=8", f"--workdir={tmp_path / 'run'}") == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["test"]["accuracy"] > 0.5
    assert main("show", mine) == 0
    assert "BatchNorm_0" in capsys.readouterr().out


def test_the_readmes_own_task_and_data_run(tmp_path):
    page = (ROOT / "nets/data/README.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "tones.py").write_text(source)
    mine = f"--experiment={tmp_path / 'tones.py'}"
    assert main(mine, "--steps=100", f"--workdir={tmp_path / 'run'}") == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["test"]["median_error"] < 10  # always answering 55 Hz: 22.5
    assert (tmp_path / "run" / "pictures" / "hertz.png").is_file()
