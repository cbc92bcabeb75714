"""The command line as a whole: how long a run is, by steps or by epochs."""

import json

import pytest

from launch import EXPERIMENTS
from nets.cli.parse import parse


def parsed(*arguments):
    return parse(["launch.py", *arguments], EXPERIMENTS)


@pytest.mark.parametrize(
    ("name", "given", "length", "workdir"),
    [
        ("mlp_digits", (), (2000, None), "mlp_digits"),
        ("mlp_digits", ("--epochs=3",), (None, 3.0), "mlp_digits-epochs=3.0"),
        ("resnet50_imagenet", (), (None, 90), "resnet50_imagenet"),
        ("resnet50_imagenet", ("--steps=10",), (10, None), "resnet50_imagenet-steps=10"),
        ("resnet50_imagenet", ("--epochs", "8"), (None, 8.0), "resnet50_imagenet-epochs=8.0"),
    ],
)
def test_the_length_given_replaces_that_of_the_recipe(name, given, length, workdir):
    command = parsed(f"--experiment={name}", *given)
    assert (command.experiment.steps, command.experiment.epochs) == length
    assert command.workdir(command.experiment).name == workdir


@pytest.mark.parametrize(("saved", "given"), [("steps", "epochs"), ("epochs", "steps")])
def test_the_length_given_replaces_that_of_a_run(saved, given, tmp_path):
    record = {"experiment": "mlp_digits", "arguments": [f"--{saved}=4", "--model.dropout=0.1"]}
    (tmp_path / "config.json").write_text(json.dumps(record))
    same = parsed(f"--workdir={tmp_path}").experiment
    assert {"steps": same.steps, "epochs": same.epochs} == {saved: 4, given: None}
    other = parsed(f"--workdir={tmp_path}", f"--{given}=9").experiment
    assert {"steps": other.steps, "epochs": other.epochs} == {saved: None, given: 9}
    assert other.model.dropout == 0.1
