"""Whole runs of toy experiments: what a continuation gives, what is best, when it ends."""

import contextlib
import dataclasses
import json
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

from nets.cli import commands
from nets.cli.verify import differences
from nets.errors import UserError
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.rules import SGD
from nets.optim.schedules import Plateau, Step
from nets.report import metrics_log
from nets.report.reporter import Reporter
from nets.train import checkpoint, loop, resume, train_state
from nets.train.checkpoint import Checkpoints
from nets.train.progress import Progress
from nets.train.signals import Signals, Stopped
from tests.support import toys


class Interrupting(Reporter):
    """Sets the signal when step `at` has been dispatched, or at the evaluation of that step."""

    def __init__(self, folder, signals, at=None):
        super().__init__(folder, toys.record())
        self.console.quiet = True
        self.signals, self.at = signals, at

    def tick(self, step):
        if step == self.at:
            self.signals.received = signal.SIGTERM


def fit(experiment, folder, at=None):
    """Trains to the end, or to the interruption at step `at`; the Progress, or None."""
    folder.mkdir(exist_ok=True)
    signals = Signals()
    try:
        with contextlib.closing(Interrupting(folder, signals, at)) as reporter:
            return loop.fit(experiment, folder, signals, reporter)
    except Stopped as stopped:
        assert stopped.code == 143
        return None


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    made = {}
    for kind in ("classifier", "language_model"):
        made[kind] = folder / kind
        fit(getattr(toys, kind)(average=EMA(0.9)), made[kind])
    return made


@pytest.mark.parametrize("kind", ["classifier", "language_model"])
def test_interrupted_twice_it_ends_bit_identical(kind, undisturbed, tmp_path):
    experiment = getattr(toys, kind)(average=EMA(0.9))
    # 5 is an evaluation (which the signal then forestalls), 13 lies between lines, saves and all
    for at in (5, 13):
        assert fit(experiment, tmp_path, at) is None
        step = resume.newest(tmp_path, print)[0]
        assert at <= step <= at + 1
    fit(experiment, tmp_path)
    assert differences(undisturbed[kind], tmp_path) == []
    steps = [(r["step"], r["split"]) for r in metrics_log.read(tmp_path / "metrics.jsonl")]
    assert len(steps) == len(set(steps))  # nothing twice
    assert [s for s, split in steps if split == "validation"] == [5, 10, 15, 20]
    assert [s for s, split in steps if split == "train"] == [3, 6, 9, 12, 15, 18, 20]


@dataclasses.dataclass(frozen=True)
class Ragged(toys.Cycle):
    """Every third batch has half as many steps."""

    def _batch(self, seed, i):
        found = super()._batch(seed, i)
        if seed == 99 or i % 3 < 2:
            return found
        return found | {k: found[k][:, : self.length // 2] for k in ("inputs", "targets")}


def test_batches_of_another_shape_are_compiled_when_they_come(tmp_path, monkeypatch):
    """A signal in the middle of that compilation loses no step."""
    experiment = toys.language_model(data=Ragged(), average=EMA(0.9))
    compile_step, compiled = loop.compile_step, []

    def counted(experiment, state, mesh, batch):
        compiled.append(batch["inputs"].shape[1])
        return compile_step(experiment, state, mesh, batch)

    monkeypatch.setattr(loop, "compile_step", counted)
    fit(experiment, tmp_path / "whole")
    assert compiled == [12, 6]
    signals = Signals()

    def interrupted(*given):
        if given[3]["inputs"].shape[1] == 6:
            signals.received = signal.SIGTERM
        return compile_step(*given)

    monkeypatch.setattr(loop, "compile_step", interrupted)
    (tmp_path / "torn").mkdir()
    with (
        contextlib.closing(Interrupting(tmp_path / "torn", signals)) as reporter,
        pytest.raises(Stopped),
    ):
        loop.fit(experiment, tmp_path / "torn", signals, reporter)
    assert resume.newest(tmp_path / "torn", print)[0] == 3  # the step it was compiled for is done
    monkeypatch.undo()
    fit(experiment, tmp_path / "torn")
    assert differences(tmp_path / "whole", tmp_path / "torn") == []


def test_differences_sees_a_flipped_bit_and_a_changed_line(undisturbed, tmp_path):
    assert fit(toys.classifier(average=EMA(0.9), seed=1), tmp_path) is not None
    found = differences(undisturbed["classifier"], tmp_path)
    assert any("array params/" in line for line in found)
    assert any("metrics.jsonl" in line for line in found)


def test_a_torn_line_and_lines_after_the_checkpoint_are_cut(undisturbed, tmp_path):
    experiment = toys.classifier(average=EMA(0.9))
    assert fit(experiment, tmp_path, at=13) is None
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 15, "split": "train", "loss": 9.0}\n{"step": 18, "spl')
    fit(experiment, tmp_path)
    assert differences(undisturbed["classifier"], tmp_path) == []


def test_newest_two_and_best_are_kept_and_the_best_is_tested(tmp_path):
    # a learning rate that ruins the network after its first evaluations
    bad = Optimizer(SGD(), 1e-2, Step(milestones=(11,), factor=1e5))
    plain = toys.BatchNormNet(normalise=False)
    experiment = toys.classifier(model=plain, optimizer=bad, steps=24, monitor="loss")
    progress = fit(experiment, tmp_path)
    rows = [r for r in metrics_log.read(tmp_path / "metrics.jsonl") if r["split"] == "validation"]
    best = min(rows, key=lambda r: r["loss"])
    assert progress.best_step == best["step"] < 20
    assert progress.best_value == best["loss"]
    checkpoints = Checkpoints(tmp_path / "checkpoints", read_only=True)
    assert checkpoints.steps() == [progress.best_step, 20, 24]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["best_step"] == progress.best_step
    (tested,) = [r for r in metrics_log.read(tmp_path / "metrics.jsonl") if r["split"] == "test"]
    assert tested["step"] == progress.best_step  # the step that was evaluated, not the last
    log = (tmp_path / "log.txt").read_text()
    assert f"step {progress.best_step}  test: " in log and "step 24  test: " not in log
    step, arrays = resume.best(tmp_path, print)
    assert step == progress.best_step
    # the tested parameters are the best's: their own pass over the test split says the same
    params, model_state = resume.parameters(
        jax.eval_shape(train_state.make_init(experiment)), arrays, "best"
    )
    wrong = total = 0
    for batch in experiment.data.evaluate("test"):
        logits = experiment.model.apply(
            {"params": params, **model_state}, batch["inputs"], train=False
        )
        wrong += ((logits.argmax(-1) != batch["targets"]) * batch["mask"]).sum()
        total += batch["mask"].sum()
    assert total == 40
    np.testing.assert_allclose(result["test"]["accuracy"], 1 - wrong / total, rtol=1e-6)


def test_patience_ends_a_run_and_a_repeat_ends_it_again(tmp_path):
    experiment = toys.classifier(optimizer=Optimizer(SGD(), 1e-9), patience=2, steps=100)
    progress = fit(experiment, tmp_path)
    rows = metrics_log.read(tmp_path / "metrics.jsonl")
    validation = [r["loss"] for r in rows if r["split"] == "validation"]
    last = len(validation) * 5
    assert progress.evaluated == last < 100 and progress.evals_since_best == 2
    assert np.argmin(validation) == len(validation) - 3
    (tmp_path / "result.json").unlink()  # as if killed just before the end
    assert fit(experiment, tmp_path).evaluated == last


def test_a_run_ends_at_a_multiple_of_the_steps_of_its_best():
    experiment = toys.classifier(patience_ratio=3.0)
    best = Progress(evaluated=29, best_step=10, best_value=0.5, evals_since_best=19)
    assert not best.ends_run(29, experiment, False) and best.ends_run(30, experiment, False)
    assert not Progress().ends_run(30, experiment, False)
    with pytest.raises(UserError, match="^patience_ratio must be above 1, got 1.0"):
        toys.classifier(patience_ratio=1.0)


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_a_run_ends_at_its_target(tmp_path, monitor):
    options = {"monitor": monitor, "steps": 60}
    fit(toys.classifier(**options), tmp_path / "whole")
    rows = metrics_log.read(tmp_path / "whole" / "metrics.jsonl")
    values = [(r["step"], r[monitor]) for r in rows if r["split"] == "validation"]
    reached = (min if monitor == "loss" else max)(value for _, value in values[:4])
    at = next(step for step, value in values if value == reached)
    assert 5 < at < 60
    progress = fit(toys.classifier(**options, target=reached), tmp_path / "part")
    assert progress.evaluated == progress.best_step == at


def test_weights_that_are_zero_are_counted(tmp_path):
    optimizer = Optimizer(SGD(), 0.1, l1=0.1, proximal=True)
    fit(toys.classifier(optimizer=optimizer), tmp_path)
    arrays = resume.best(tmp_path, print)[1]
    kernels = [a for path, a in arrays.items() if path.startswith("params/") and "kernel" in path]
    zeros = sum(int(np.sum(kernel == 0)) for kernel in kernels)
    assert 0 < zeros < sum(kernel.size for kernel in kernels)
    assert json.loads((tmp_path / "result.json").read_text())["zero_weights"] == zeros


def test_plateau_scales_the_learning_rate(tmp_path):
    optimizer = Optimizer(SGD(), 1e-9, Plateau(patience=1, factor=0.5))
    fit(toys.classifier(optimizer=optimizer, steps=30, log_every=5), tmp_path)
    rows = metrics_log.read(tmp_path / "metrics.jsonl")
    loss = {r["step"]: r["loss"] for r in rows if r["split"] == "validation"}
    rate, want, best = 1e-9, {}, np.inf
    for step in range(5, 31, 5):
        want[step] = rate
        rate, best = (rate, loss[step]) if loss[step] < best else (rate / 2, best)
    got = {r["step"]: r["learning_rate"] for r in rows if r["split"] == "train"}
    assert len(set(want.values())) > 1
    np.testing.assert_allclose(list(got.values()), list(want.values()), rtol=1e-6)


def test_init_from_begins_with_the_others_best_parameters(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    fit(toys.classifier(), first)
    frozen = Optimizer(SGD(), 1e-30)
    fit(toys.classifier(init_from=str(first), optimizer=frozen, steps=1, seed=5), second)
    _, best = resume.best(first, print)
    arrays = resume.newest(second, print)[1]
    for path in best:
        if path.startswith("params/"):
            np.testing.assert_array_equal(best[path], arrays[path])


def test_init_from_of_another_shape_is_refused_with_a_table(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    fit(toys.classifier(steps=2), first)
    other = toys.classifier(model=toys.BatchNormNet(normalise=False), init_from=str(first))
    with pytest.raises(UserError, match="BatchNorm_0/scale.*this experiment needs nothing"):
        fit(other, second)
    assert not any(second.iterdir())


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_checkpoint(tmp_path):
    ruin = Optimizer(SGD(), 1e-12, Step(milestones=(9,), factor=1e38), l2=1e10)
    with pytest.raises(loop.Diverged, match=r"(loss|grad_norm) is (nan|inf) at step 1[0-2]"):
        fit(toys.classifier(optimizer=ruin, model=toys.BatchNormNet(normalise=False)), tmp_path)
    assert resume.newest(tmp_path, print)[0] <= 10


def test_the_watched_split_may_be_missing(tmp_path):
    class TestOnly(toys.Blobs):
        def splits(self):
            return ("test",)

    progress = fit(toys.classifier(data=TestOnly()), tmp_path)
    assert progress.best_step is None
    rows = metrics_log.read(tmp_path / "metrics.jsonl")
    assert [r["split"] for r in rows if r["split"] != "train"] == ["test"]


def test_saved_arrays_are_those_of_the_state():
    experiment = toys.classifier()
    state = train_state.make_init(experiment)()
    arrays = checkpoint.flatten(state)
    again = checkpoint.unflatten(state, arrays, "here")
    assert jax.tree.structure(again) == jax.tree.structure(state)
    assert "opt_state/0/trace/Dense_0/kernel" in arrays
    assert arrays["step"].dtype == np.int32


def test_a_signal_within_an_evaluation_puts_it_off(undisturbed, tmp_path):
    experiment = toys.classifier(average=EMA(0.9))
    signals = Signals()

    class Signalled(toys.Blobs):
        def evaluate(self, split):
            def look(batch):
                signals.received = signal.SIGINT
                return batch

            return super().evaluate(split).map(look)

    folder = tmp_path / "run"
    folder.mkdir()
    with contextlib.closing(Interrupting(folder, signals)) as reporter:
        with pytest.raises(Stopped) as stopped:
            loop.fit(dataclasses.replace(experiment, data=Signalled()), folder, signals, reporter)
    assert stopped.value.code == 130
    step, _, progress = resume.newest(folder, print)
    assert step == 5 and progress["evaluated"] == 0
    fit(experiment, folder)
    assert differences(undisturbed["classifier"], folder) == []


def test_a_metric_that_a_seed_lacks_is_summed_up_over_the_others():
    results = [
        {"step": 9, "test": {"loss": 1.0}},
        {"step": 9, "test": {"loss": 3.0, "in_span": 0.5}},
        {"step": 9, "test": {"loss": 2.0, "in_span": 0.7, "rare": 1.0}},
    ]
    assert commands.over_seeds(results) == [
        "test loss: 2 +- 1 over 3 seeds",
        "test in_span: 0.6 +- 0.14 over 2 seeds",
    ]
    assert commands.over_seeds(results[:1]) == []


def test_an_evaluation_in_which_nothing_counted_is_not_the_best():
    progress = Progress()
    assert not progress.count_evaluation(5, None, True) and progress.best_step is None
    assert progress.count_evaluation(10, 0.5, True) and not progress.count_evaluation(
        15, None, True
    )
    assert (progress.best_step, progress.evaluated, progress.evals_since_best) == (10, 15, 1)
    assert progress.values == [0.5]


def test_the_closing_tables_commands_are_whole_on_a_narrow_terminal(tmp_path, capsys):
    folder = tmp_path / "a-work-directory-whose-name-is-longer-than-a-terminal-is-wide"
    reporter = Reporter(folder, toys.record(), source=Path("mine.py"))
    reporter.console.width = 60
    result = {"step": 3, "best_step": 3, "elapsed_s": 1.0, "test": {"loss": 0.5}}
    reporter.result(result)  # the output is no terminal: each command is in a line
    assert f"eval --workdir={folder}\n" in capsys.readouterr().out
    reporter.console._force_terminal = True
    reporter.result(result)
    shown = "".join(line.strip() for line in capsys.readouterr().out.split("\n"))
    assert f"eval--workdir={folder}" in shown.replace(" ", "")
