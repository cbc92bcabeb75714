"""Runs from Python: trained and resumed as by the launcher, interrupted, and used."""

import json
import os
import re
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits

from nets.cli import config, runs
from nets.cli.verify import differences
from nets.data.dataset import Batches
from nets.data.images import Images
from nets.data.sequences import Adding
from nets.errors import UserError
from nets.mlp import MLP
from tests.support import toys
from tests.support.launching import ROOT, main

STEPS = {"steps": 12, "eval_every": 6, "save_every": 3, "log_every": 4}


class Interrupting(toys.Blobs):
    """Blobs whose seventh batch is an interrupt, as by Ctrl-C; the first time."""

    def train(self, seed):
        batches = super().train(seed)

        def batch(i):
            if i == 6 and os.environ.pop("INTERRUPT", None):
                os.kill(os.getpid(), signal.SIGINT)
            return batches[i]

        return Batches(batch)


def test_an_interrupt_raises_and_the_same_call_goes_on(tmp_path, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    experiment = toys.classifier(data=Interrupting(), **STEPS)
    calm = runs.train(experiment, tmp_path / "calm")
    monkeypatch.setenv("INTERRUPT", "1")
    with pytest.raises(KeyboardInterrupt):
        runs.train(experiment, tmp_path / "interrupted")
    assert not (tmp_path / "interrupted" / "result.json").exists()
    assert signal.getsignal(signal.SIGINT) is handler
    again = runs.train(experiment, str(tmp_path / "interrupted"))
    assert again["test"] == calm["test"] and again["step"] == 12
    assert differences(tmp_path / "calm", tmp_path / "interrupted") == []
    assert (tmp_path / "interrupted" / "report.html").is_file()
    with pytest.raises(UserError, match="differs in: optimizer.learning_rate"):
        changed = config.replace(experiment, {"optimizer.learning_rate": 0.5})
        runs.train(changed, tmp_path / "calm")


SCRIPT = """
import flax.linen as nn
from nets.cli import runs
from nets.data.images import Images
from nets.optim.optimizer import Optimizer
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment


class Tiny(nn.Module):
    num_classes: int | None = None

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(self.num_classes)(x.reshape(len(x), -1))


experiment = Experiment(Tiny(), Classify(), Images(name="digits"), Optimizer(), steps=3)
print(runs.train(experiment, "run")["step"], runs.load("run", experiment=experiment).model)
"""


@pytest.mark.parametrize("by_file", [True, False], ids=["script", "notebook"])
def test_a_model_may_be_defined_where_it_is_trained(by_file, tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPT)
    code = ["mine.py"] if by_file else ["-c", SCRIPT]
    done = subprocess.run(
        [sys.executable, *code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "3 Tiny(" in done.stdout and "launch.py" not in done.stdout
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert ("__main__" in record["code"]) == by_file


def test_a_run_from_python_is_loaded_by_its_experiment(tmp_path, capsys):
    experiment = toys.classifier(**STEPS)
    result = runs.train(experiment, tmp_path)
    with pytest.raises(UserError, match="was trained from Python: give its experiment"):
        runs.load(tmp_path)
    assert main("eval", f"--workdir={tmp_path}") == 2
    assert "was trained from Python: resume it by nets.cli.runs.train" in capsys.readouterr().err
    trained = runs.load(tmp_path, experiment=experiment)
    assert accuracy(trained, experiment.data, "inputs") == pytest.approx(result["test"]["accuracy"])


def test_a_run_of_the_launcher_is_loaded_from_its_directory(tmp_path, capsys, monkeypatch):
    """With its own flags; the best, the last or a step."""
    monkeypatch.chdir(tmp_path)
    arguments = ("--experiment=mlp_digits", "--steps=40", "--eval_every=20", "--model.widths=8")
    assert main(*arguments, "--workdir=run") == 0
    capsys.readouterr()
    assert main("eval", "--workdir=run") == 0
    printed = capsys.readouterr().out
    trained = runs.load("run")
    assert trained.metadata["num_classes"] == trained.model.num_classes == 10
    assert trained.model.widths == (8,) and trained.tokenizer is None
    measured = accuracy(trained, Images(name="digits"), "inputs")
    assert f"accuracy {measured:.6g}" in printed
    last, step = runs.load("run", "latest"), runs.load("run", "40")
    jax.tree.map(np.testing.assert_array_equal, last.params, step.params)
    with pytest.raises(UserError, match="checkpoint"):
        runs.load("run", "7")
    with pytest.raises(UserError, match="holds no run"):
        runs.load("elsewhere")


def test_the_readmes_lines_use_what_was_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main("--experiment=lenet5_digits", "--steps=2", "--workdir=runs/lenet5_digits") == 0
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = (block for block in blocks if "runs.load" in block)
    names = {}
    exec(block, names)
    assert names["logits"].shape == (1, 10) and names["run"].metadata["num_classes"] == 10


def accuracy(trained, data, name):
    """The share of a test split that is right, computed by hand."""
    variables = {"params": trained.params, **trained.model_state}
    right = []
    for batch in data.evaluate("test"):
        logits = trained.model.apply(variables, batch[name], train=False)
        right.append((np.argmax(logits, -1) == batch["targets"])[batch["mask"] > 0])
    return np.mean(np.concatenate(right))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "--prompt=x"], "--prompt is a flag of sample and predict, not of show."),
        (["eval", "--temperature=1"], "--temperature is a flag of sample, not of eval."),
        (
            ["--checkpoint=best"],
            "--checkpoint is a flag of eval, sample and predict, not of train.",
        ),
        (["sample", "--length=0"], "--length must be at least 1, got 0."),
        (["sample", "--temperature=-1"], "--temperature must be at least 0, got -1.0."),
        (["learn"], "unknown command 'learn'; there are list, train, compare, show"),
    ],
)
def test_flags_belong_to_their_command(arguments, message, capsys):
    assert main(*arguments, "--experiment=mlp_digits") == 2
    assert message in capsys.readouterr().err


def test_the_training_split_is_evaluated_where_that_is_asked_for(tmp_path):
    data = Images(name="digits", shift=2.0)
    model = MLP(widths=(8,), num_classes=None)
    experiment = toys.classifier(model=model, data=data, eval_train=True, **STEPS)
    result = runs.train(experiment, tmp_path / "run")
    trained = runs.load(tmp_path / "run", experiment=experiment)
    images, digits = load_digits(return_X_y=True)
    rows = np.flatnonzero((np.arange(1797) % 5 != 0) & (np.arange(1797) % 10 != 1))
    pixels = np.round(images * 255 / 16)
    scale, offset = trained.metadata["pixel_scale"][0], trained.metadata["pixel_offset"][0]
    inputs = np.float32(pixels[rows] * scale + offset).reshape(-1, 8, 8, 1)
    logits = trained.model.apply({"params": trained.params}, inputs, train=False)
    accuracy = np.mean(logits.argmax(-1) == digits[rows])
    assert result["train_eval"]["accuracy"] == pytest.approx(accuracy)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    line = {"step": result["best_step"], "split": "train_eval"} | result["train_eval"]
    assert json.loads(lines[-2]) == line
    with pytest.raises(UserError, match="has no split train; it has validation, test"):
        Adding().evaluate("train")
