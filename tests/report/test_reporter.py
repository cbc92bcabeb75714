"""What a run says of its speed: that of its steps alone."""

import json
import time
import types

from nets.report import reporter
from nets.report.reporter import Reporter


def test_opening_and_evaluations_do_not_count_as_steps(tmp_path, monkeypatch):
    clock = iter([0.0, 50.0, 52.0, 90.0, 94.0])  # begins, is open, 10 steps, evaluated, 10 steps
    stub = {"monotonic": lambda: next(clock), "strftime": time.strftime, "gmtime": time.gmtime}
    monkeypatch.setattr(reporter, "time", types.SimpleNamespace(**stub))
    report = Reporter(tmp_path, {"experiment": {}}, active=True)
    report.open(0, 0, 20)
    report.train_line(10, 20, {"loss": 1.0}, batch_size=2)
    report.evaluation(10, "validation", {"loss": 1.0}, best=True)
    report.train_line(20, 20, {"loss": 1.0}, batch_size=2)
    report.sync()
    report.close()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["steps_per_s"] for row in rows if row["split"] == "train"] == [5.0, 2.5]
