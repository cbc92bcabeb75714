"""A result of several runs over another."""

import json

import numpy as np
import pytest

from nets.cli import tradeoff
from nets.errors import UserError
from nets.report.figures import saved
from nets.report.tradeoff import Tradeoff
from tests.support.pictures import pixels


def test_runs_become_points_of_one_picture(tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(tradeoff, "Tradeoff", lambda *a, **k: drawn.append((a, k)) or Tradeoff(*a, **k))  # fmt: skip # noqa: E501
    for name, delay, error in (("slow", 900, 0.01), ("fast", 100, 0.08)):
        (tmp_path / f"variant={name}").mkdir()
        values = {"test": {"delay_ms": delay, "error_rate": error}}
        (tmp_path / f"variant={name}" / "result.json").write_text(json.dumps(values))
    pairs = [f"{name}={tmp_path}/variant={name}" for name in ("slow", "fast")]
    output = tmp_path / "out" / "picture.png"
    tradeoff.main(["--x=delay_ms", "--y=error_rate", f"--output={output}", *pairs])
    assert capsys.readouterr().out.strip() == str(output) and pixels(output).std() > 10
    ((_, names, x, y, *labels), _), = drawn  # fmt: skip
    assert names == ("slow", "fast") and labels == ["delay_ms", "error_rate"]
    assert x.tolist() == [900, 100] and y.tolist() == [0.01, 0.08]
    with pytest.raises(UserError, match="has no test accuracy; it has delay_ms, error_rate"):
        tradeoff.result(tmp_path / "variant=slow", "test", "accuracy")
    with pytest.raises(UserError, match="holds no finished run"):
        tradeoff.result(tmp_path / "none", "test", "accuracy")
    with pytest.raises(SystemExit):
        tradeoff.main(["--x=a", "--y=b", "nothing"])


def test_points_are_joined_from_left_to_right(tmp_path):
    figure = Tradeoff("t", ("b", "a"), np.array([2.0, 1.0]), np.array([3.0, 4.0]), "x", "y")
    with saved(tmp_path / "a.png") as canvas:
        figure.draw(canvas)
        (axes,) = canvas.axes
        assert axes.lines[0].get_xydata().tolist() == [[1, 4], [2, 3]]
        assert [text.get_text() for text in axes.texts] == ["b", "a"]
