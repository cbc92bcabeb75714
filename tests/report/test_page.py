"""Outputs of a run for people: TensorBoard's sub-runs, the page, the table of several seeds."""

import json
import re
from pathlib import Path

import pytest

from nets.cli import commands, runs
from nets.cli.parse import parse
from nets.report import metrics_log, page
from nets.report.reporter import Reporter
from tests.support import toys

FOLDER = Path(__file__).parent.parent.parent / "experiments"
RESULT = {"step": 60, "best_step": 40, "elapsed_s": 12.34, "parameters": 61706}
RESULT |= {"test": {"accuracy": 0.875}}
HISTORY = [
    {"step": 20, "split": "train", "loss": 2.0, "examples_per_s": 10.0},  # slowed by the start
    {"step": 40, "split": "train", "loss": 1.0, "examples_per_s": 1500.0},
    {"step": 40, "split": "validation", "loss": 1.5},
    {"step": 60, "split": "train", "loss": 0.5, "examples_per_s": 1700.0},
]


def written(workdir, **changes):
    """The page of a run with this in its record, and its rows of two cells."""
    (workdir / "pictures").mkdir(exist_ok=True)
    page.write(workdir, toys.record(**changes), RESULT, HISTORY, "2001-02-03 05:00:00")
    text = (workdir / "report.html").read_text()
    return text, dict(re.findall(r"<tr><td>(.*?)<td[^>]*>(.*?)</tr>", text))


def test_the_page_says_what_was_run_when_from_what_and_how_fast(tmp_path):
    command = "python launch.py --experiment=toy --data.path='a & b'"
    git = {"commit": "12ab" * 10, "dirty": True}
    text, rows = written(tmp_path, command=command, git=git)
    assert "<pre>python launch.py --experiment=toy --data.path=&#x27;a &amp; b&#x27;</pre>" in text
    assert rows["test accuracy"] == "0.875" and rows["best step"] == "40 of 60"
    assert rows["started"] == "2001-02-03 04:05:06"
    assert rows["finished"] == "2001-02-03 05:00:00"
    assert rows["throughput"] == "1,500 examples/s"
    assert rows["parameters"] == "61,706"
    assert rows["git commit"] == "12ab" * 10 + ", with uncommitted changes"
    assert written(tmp_path, git={"commit": "c", "dirty": False})[1]["git commit"] == "c"
    assert written(tmp_path)[1]["git commit"] == "unknown"


def test_the_page_shows_what_differs_from_the_experiment_and_folds_the_rest(tmp_path):
    config = {"steps": 60, "data": "Blobs", "data.path": "x=y", "model.width": 4}
    text, rows = written(tmp_path, config=config, arguments=["--steps=60", "--data.path=x=y"])
    first, folded = re.search("<h2>Configuration</h2>(.*?)<details>(.*?)</details>", text).groups()
    cells = "<tr><td>(.*?)<td[^>]*>(.*?)</tr>"
    assert re.findall(cells, first) == [("steps", "60"), ("data.path", "x=y")]
    assert dict(re.findall(cells, folded)) == {k: str(v) for k, v in config.items()}
    assert "<summary>All 4 fields</summary>" in folded
    same = written(tmp_path, config=config)[0]
    assert "All fields have the values of the experiment's file" in same


def several(folder):
    """Two seeds' results, of which only the second has in_span; their folders."""
    results = [
        {"step": 60, "best_step": 40, "elapsed_s": 2.0, "test": {"accuracy": 0.5}},
        {"step": 60, "best_step": 60, "elapsed_s": 3.0, "test": {"accuracy": 0.75, "in_span": 1.0}},
    ]
    for seed in (0, 3):
        (folder / f"seed={seed}").mkdir(parents=True)
        rows = "".join(f"{json.dumps(row)}\n" for row in HISTORY)
        (folder / f"seed={seed}" / "metrics.jsonl").write_text(rows)
    return results


def test_several_seeds_leave_their_table_and_curves(tmp_path):
    results, folder = several(tmp_path / "all"), tmp_path / "all"
    runs = [{"seed": s, "workdir": str(folder / f"seed={s}")} | result
            for s, result in zip((0, 3), results, strict=True)]  # fmt: skip
    page.write_seeds(folder, "toy", runs)
    table = json.loads((folder / "seeds.json").read_text())
    assert table["experiment"] == "toy" and table["runs"] == runs
    (accuracy,) = table["summary"].values()  # in_span has no spread
    spread = pytest.approx(0.125 * 2**0.5)
    assert accuracy == {"mean": 0.625, "standard_deviation": spread, "seeds": 2}
    text = (folder / "seeds.html").read_text()
    rows = re.findall("<tr>(.*?)</tr>", text)
    assert [row.split('<td class="number">')[1:] for row in rows] == [
        ["seed", "test accuracy", "test in_span"],
        ['<a href="seed=0/report.html">0</a>', "0.5", ""],
        ['<a href="seed=3/report.html">3</a>', "0.75", "1"],
        ["<b>mean</b>", "0.625", ""],
        ["<b>standard deviation</b>", "0.1768", ""],
    ]
    assert 'src="data:image/png;base64,' in text and "http" not in text


@pytest.mark.parametrize("given", [True, False])
def test_the_table_lies_in_the_work_directory_or_beside_those_of_the_seeds(
    given, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    where = tmp_path / ("all" if given else "runs/mlp_digits-steps=60-seeds=0,3")
    results = iter(several(where))
    monkeypatch.setattr(runs, "train_one", lambda *_: next(results))
    arguments = ["--experiment=mlp_digits", "--steps=60", "--seed=0,3"]
    arguments += [f"--workdir={where}"] if given else []
    command = parse(["launch.py", *arguments], FOLDER)
    assert commands.train(command, None) == 0
    rows = json.loads((where / "seeds.json").read_text())["runs"]
    workdirs = [Path(row["workdir"]).resolve() for row in rows]
    if given:
        assert workdirs == [where / "seed=0", where / "seed=3"]
    else:
        begin = tmp_path / "runs" / "mlp_digits-steps=60"
        assert workdirs == [begin, begin.with_name(f"{begin.name}-seed=3")]
    assert [row["seed"] for row in rows] == [0, 3]
    out = capsys.readouterr().out
    assert "test accuracy: 0.625 +- 0.18 over 2 seeds" in out and "seeds.html" in out


def test_one_seed_leaves_no_table(tmp_path, monkeypatch):
    results = iter(several(tmp_path))
    monkeypatch.setattr(runs, "train_one", lambda *_: next(results))
    arguments = ["--experiment=mlp_digits", "--seed=3", f"--workdir={tmp_path}"]
    assert commands.train(parse(["launch.py", *arguments], FOLDER), None) == 0
    assert not (tmp_path / "seeds.json").exists()


def test_a_page_says_that_code_was_edited(tmp_path):
    text, _ = written(tmp_path, code_changes=["2001-02-03 04:05:06: mine.py (edited)"])
    assert (
        "<li>2001-02-03 04:05:06: mine.py (edited)" in text and "edited" not in written(tmp_path)[0]
    )


def test_a_log_that_was_cut_from_outside_stays_readable_and_what_is_missing_is_told(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [b'{"step": 1}\n', b'{"step": 2}\n', b'{"step": 3}\n']
    for held, size, kept, missing in (
        (b"".join(lines), 24, lines[:2], 0),
        (b"".join(lines[:2]), 24, lines[:2], 0),
        (b"".join(lines)[:30], 36, lines[:2], 12),
        (lines[0][:5], 36, [], 36),
        (b"", 0, [], 0),
    ):
        path.write_bytes(held)
        assert metrics_log.cut(path, size) == missing
        assert path.read_bytes() == b"".join(kept)
    reporter = Reporter(tmp_path, toys.record())
    reporter.open(36, 3, 9)
    reporter.train_line(6, 9, {"loss": 0.5}, 16)
    reporter.close()
    assert [row["step"] for row in metrics_log.read(path)] == [6]
    assert "metrics.jsonl lacks 36 bytes" in (tmp_path / "log.txt").read_text()
