"""`compare`: an experiment's variants, each with every seed, in one table."""

import json
from statistics import mean, stdev

import pytest

from nets.cli import runs
from tests.support.launching import main

FILE = '''"""Widths of a multilayer perceptron."""

import dataclasses

from nets.data.images import Images
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import SGD, Adam
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment


def experiment():
    data, optimizer = Images(name="digits"), Optimizer(Adam(), 1e-2)
    return Experiment(MLP(widths=(8,)), Classify(), data, optimizer, steps=6, eval_every=3)


def variants():
    base = experiment()
    slow, fast = (dataclasses.replace(base, model=base.model.clone(widths=(w,))) for w in (4, 16))
    bad = dataclasses.replace(base, optimizer=Optimizer(SGD(), 1e38))
    return {"width 4": slow, "width 16": fast, "too fast": bad}
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "widths.py"
    path.write_text(FILE)
    return path


def test_every_variant_is_trained_with_every_seed(file, tmp_path, capsys):
    folder = tmp_path / "all"
    flags = "--seed=0,3", "--eval_train", f"--workdir={folder}", "--variants=width 4,width 16"
    assert main("compare", f"--experiment={file}", *flags) == 0
    lines = capsys.readouterr().out.splitlines()
    head, four, sixteen, where = lines[-4:]
    table = json.loads((folder / "compare.json").read_text())
    assert list(table["runs"]) == ["width 4", "width 16"]
    for width, line in ((4, four), (16, sixteen)):
        results = [
            json.loads((folder / f"variant=width_{width}" / f"seed={s}/result.json").read_text())
            for s in (0, 3)
        ]
        assert results[0]["parameters"] == 64 * width + width + width * 10 + 10
        losses = [result["test"]["loss"] for result in results]
        spread = table["summary"][f"width {width}"]["test loss"]
        expected = {"mean": mean(losses), "standard_deviation": stdev(losses), "seeds": 2}
        assert spread == pytest.approx(expected)
        assert f"{mean(losses):.4g} ± {stdev(losses):.2g}" in line
    assert "train_eval accuracy" in head and str(folder / "compare.html") in where
    page = (folder / "compare.html").read_text()
    assert "variant=width_16/seed=3/report.html" in page and page.count("data:image/png") == 2

    trained = runs.load(folder / "variant=width_4" / "seed=3")
    assert trained.model.widths == (4,)
    again = [*flags[:-1], "--variants=width 16"]  # what is finished is not trained again
    assert main("compare", f"--experiment={file}", *again) == 0
    assert "is finished" in capsys.readouterr().out


def test_a_run_that_diverges_is_told_and_the_others_are_trained(file, tmp_path, capsys):
    flags = f"--workdir={tmp_path}/all", "--variants=too fast,width 4"
    assert main("compare", f"--experiment={file}", *flags) == 0
    summary = json.loads((tmp_path / "all" / "compare.json").read_text())["summary"]
    assert summary["too fast"] == {
        "diverged": {"mean": 1, "standard_deviation": 0.0, "seeds": 1},
    }
    assert summary["width 4"]["parameters"]["mean"] == 310


def test_one_variant_is_trained_and_named_in_its_directory(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main("train", f"--experiment={file}", "--variant=width 16", "--steps=2") == 0
    folder = "runs/widths-variant=width_16-steps=2"
    assert runs.load(folder).model.widths == (16,)
    assert json.loads((tmp_path / folder / "config.json").read_text())["arguments"] == [
        "--variant=width 16", "--steps=2"
    ]  # fmt: skip
    capsys.readouterr()
    assert main("eval", f"--workdir={folder}") == 0
    assert "step 2  test: accuracy" in capsys.readouterr().out
    assert main("show", f"--experiment={file}", "--variant=width 4", "--format=json") == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == 310


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--variant=wide"), "--variant must be one of width 4, width 16, too fast, got"),
        (("compare", "--variants=wide"), "--variants must be one of width 4, width 16, too fast"),
        (("compare", "--variant=width 4"), "--variant is not of compare, which takes --variants"),
        (("compare", "--optimizer.rule.b1=0.5"), "unknown flag --optimizer.rule.b1"),
        (("train", "--variants=width 4"), "--variants is a flag of compare, not of train"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(
    file, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments[0], f"--experiment={file}", *arguments[1:]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_an_experiment_without_variants_is_not_compared(capsys):
    assert main("compare", "--experiment=lenet5_digits") == 2
    assert "defines no function variants()" in capsys.readouterr().err
