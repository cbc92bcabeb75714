"""What a run leaves for people: TensorBoard's sub-runs, the page, the table of several seeds."""

import re
import struct

from tensorboardX.proto.event_pb2 import Event

from nets.train import metrics, report
from tests import toys

RESULT = {"step": 60, "best_step": 40, "elapsed_s": 12.34, "test": {"accuracy": 0.875}}
HISTORY = [
    {"step": 20, "split": "train", "loss": 2.0, "examples_per_s": 10.0},  # slowed by the start
    {"step": 40, "split": "train", "loss": 1.0, "examples_per_s": 1500.0},
    {"step": 40, "split": "validation", "loss": 1.5},
    {"step": 60, "split": "train", "loss": 0.5, "examples_per_s": 1700.0},
]


def page(workdir, **changes):
    """The page of a run with this in its record, and its rows of two cells."""
    (workdir / "pictures").mkdir(exist_ok=True)
    report.write(workdir, toys.record(**changes), RESULT, HISTORY, "2001-02-03 05:00:00")
    text = (workdir / "report.html").read_text()
    return text, dict(re.findall(r"<tr><td>(.*?)<td[^>]*>(.*?)</tr>", text))


def test_the_page_says_what_was_run_when_from_what_and_how_fast(tmp_path):
    command = "python launch.py --experiment=toy --data.path='a & b'"
    git = {"commit": "12ab" * 10, "dirty": True}
    text, rows = page(tmp_path, command=command, git=git, parameters=61706)
    assert "<pre>python launch.py --experiment=toy --data.path=&#x27;a &amp; b&#x27;</pre>" in text
    assert rows["test accuracy"] == "0.875" and rows["best step"] == "40 of 60"
    assert rows["started"] == "2001-02-03 04:05:06"
    assert rows["finished"] == "2001-02-03 05:00:00"
    assert rows["throughput"] == "1,500 examples/s"
    assert rows["parameters"] == "61,706"
    assert rows["git commit"] == "12ab" * 10 + ", with uncommitted changes"
    assert page(tmp_path, git={"commit": "c", "dirty": False})[1]["git commit"] == "c"
    assert page(tmp_path)[1]["git commit"] == "unknown"


def test_the_page_shows_what_differs_from_the_experiment_and_folds_the_rest(tmp_path):
    config = {"steps": 60, "data": "Blobs", "data.path": "x=y", "model.width": 4}
    text, rows = page(tmp_path, config=config, arguments=["--steps=60", "--data.path=x=y"])
    first, folded = re.search("<h2>Configuration</h2>(.*?)<details>(.*?)</details>", text).groups()
    cells = "<tr><td>(.*?)<td[^>]*>(.*?)</tr>"
    assert re.findall(cells, first) == [("steps", "60"), ("data.path", "x=y")]
    assert dict(re.findall(cells, folded)) == {k: str(v) for k, v in config.items()}
    assert "<summary>All 4 fields</summary>" in folded
    same = page(tmp_path, config=config)[0]
    assert "All fields have the values of the experiment's file" in same


def events(folder):
    """The TensorBoard events of a folder, read record by record: length, its crc, data, its crc."""
    found = []
    for path in sorted(folder.glob("events*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + size]))
            data = data[16 + size :]
    return found


def scalars(folder):
    """(tag, step, value) of every scalar that is left when purged steps are dropped."""
    found = []
    for event in events(folder):
        if event.HasField("session_log") and event.session_log.status == 1:  # START
            found = [row for row in found if row[1] < event.step]
        found += [(v.tag, event.step, round(v.simple_value, 3)) for v in event.summary.value]
    return found


def test_the_splits_are_sub_runs_that_share_their_tags_and_are_purged_on_a_resume(tmp_path):
    log = metrics.Log(tmp_path, 0, 0)
    for step in (10, 20):
        log.write(step, "train", {"loss": 0.5, "steps_per_s": 9.0})
        log.write(step, "validation", {"loss": 0.25})
    log.close()
    log = metrics.Log(tmp_path, 0, 15)  # what came after 15 is done again
    log.write(20, "train", {"loss": 0.75})
    log.write(20, "test", {"loss": 0.125})
    log.close()
    board = tmp_path / "tensorboard"
    losses = {
        split: [row for row in scalars(board / split) if row[0] == "loss"]
        for split in ("train", "validation", "test")
    }
    assert losses == {
        "train": [("loss", 10, 0.5), ("loss", 20, 0.75)],
        "validation": [("loss", 10, 0.25)],
        "test": [("loss", 20, 0.125)],
    }
