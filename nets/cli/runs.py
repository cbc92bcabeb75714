"""Runs of an experiment in a work directory: trained, resumed and loaded, from Python too."""

import contextlib
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from nets.cli import checks, config, provenance, workdir
from nets.cli.parse import PYTHON, parse
from nets.cli.resolve import as_trained, resolve
from nets.data.dataset import check_metadata
from nets.errors import UserError, inside
from nets.inspect import nan_finder
from nets.optim import freeze
from nets.report.reporter import Reporter
from nets.tasks.task import Generative, Predictive, Trained
from nets.train import initial, loop, resume, train_state
from nets.train.experiment import Experiment, make_trained
from nets.train.signals import Signals, Stopped
from nets.train.step import step_key


@dataclasses.dataclass(frozen=True)
class Source:
    """The origin of an experiment, for config.json.

    Attributes:
        name: the experiment's name.
        command: the command line.
        arguments: flags that differ from the experiment's file.
        path: the experiment's file, of which a copy is kept. None means that there is none.
    """

    name: str = PYTHON
    command: str = "nets.cli.runs.train(experiment, workdir)"
    arguments: tuple[str, ...] = ()
    path: Path | None = None


def train(experiment: Experiment, workdir: str | Path) -> dict[str, Any]:
    """Trains an experiment, or resumes what is in the work directory, as the launcher does.

    Returns:
        The result as in result.json.

    Raises:
        UserError: the experiment is impossible, or the directory holds another.
        KeyboardInterrupt: an interrupt; the finished steps are saved, and the same call resumes.
        nets.train.signals.Stopped: the same for SIGTERM and SIGHUP.
        nets.train.loop.Diverged: the loss or the gradient is not finite.
    """
    with quiet(), Signals(exit_at_second=False) as signals:
        try:
            return train_one(experiment, Path(workdir), Source(), signals)
        except Stopped as stopped:
            if stopped.interrupt:
                raise KeyboardInterrupt from stopped
            raise


def load(
    workdir: str | Path, checkpoint: str = "best", experiment: Experiment | None = None
) -> Trained:
    """The model of a run with its trained parameters, model state, metadata and tokenizers.

    Args:
        workdir: the run's work directory.
        checkpoint: best, latest, or a step.
        experiment: that of a run that `train` began; one from the command line is read from the
            directory.

    Raises:
        UserError: there is no such run or checkpoint, or it holds something else.
    """
    folder = Path(workdir)
    record, path = read_record(folder), None
    if experiment is None:
        if record["experiment"] == PYTHON:
            raise UserError(f"{folder} was trained from Python: give its experiment.")
        path = (folder / "experiment.py").resolve()
        experiment = parse(["", f"--experiment={path}", *record["arguments"]], folder).experiment
    with quiet():
        return restored(experiment, folder, path, checkpoint)[1]


def read_record(folder: Path) -> dict[str, Any]:
    """The config.json of a run.

    Raises:
        UserError: there is none.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no run; train one first, or name it with --workdir.")
    return json.loads(path.read_text())


def restored(
    experiment: Experiment, folder: Path, path: Path | None, checkpoint: str
) -> tuple[Experiment, Trained, int]:
    """The experiment as it was trained, what it was trained to, and the step.

    Args:
        experiment: the run's.
        folder: its work directory.
        path: the experiment's file, if any.
        checkpoint: best, latest, or a step.

    Raises:
        UserError: there is no such run or checkpoint, or it holds something else.
    """
    record = read_record(folder)
    metadata = record["metadata"]
    experiment = resolve(experiment, metadata)
    data = as_trained(experiment.data, metadata)
    experiment = checks.checked(dataclasses.replace(experiment, data=data), metadata)
    name = Path(record["experiment"]).with_suffix(".py").name
    if changed := provenance.changes(record["code"], provenance.digests(experiment, path, name)):
        warn(f"the code has changed since this run: {', '.join(changed)}")
    step, arrays = resume.best(folder, warn, checkpoint)
    template = jax.eval_shape(train_state.make_init(experiment))
    parts = resume.parameters(template, arrays, f"checkpoint {step} of {folder}")
    key = jax.random.key(experiment.seed)
    return experiment, make_trained(experiment, *parts, metadata, key), step


def train_one(
    experiment: Experiment,
    folder: Path,
    source: Source,
    signals: Signals,
    allow_changed_code: bool = False,
) -> dict[str, Any]:
    """One run, from wherever its work directory stands; its result."""
    with inside("data"):
        metadata = experiment.data.metadata()
    check_metadata(experiment.data, metadata)
    experiment = checks.checked(resolve(experiment, metadata), metadata)
    reporter = Reporter(
        folder,
        make_record(experiment, source, metadata),
        active=jax.process_index() == 0,
        samples=isinstance(experiment.task, Generative),
        predicts=_predict_flag(experiment),
        prompts=experiment.data.tokenizer(metadata) is not None,
        source=source.path,
    )
    reporter.record = workdir.check(folder, reporter.record, reporter.warn, allow_changed_code)
    if (warmup := experiment.optimizer.warmup) > experiment.steps:
        reporter.warn(
            f"the warm-up of {warmup} steps is longer than the run of {experiment.steps}: the "
            f"learning rate only rises, to {experiment.steps / warmup:.0%} of its peak"
        )
    with inside("data"):
        experiment.data.train(experiment.seed)  # refuses what is impossible before it compiles
        if experiment.eval_train:
            experiment.data.evaluate("train")
    if experiment.init_from is not None:
        _check_initial(experiment, metadata, reporter)
    finished = folder / "result.json"
    if finished.is_file():
        result = json.loads(finished.read_text())
        if result["step"] > experiment.steps:
            raise UserError(resume.past(folder, result["step"], experiment.steps), "steps")
        if result["step"] == experiment.steps:
            reporter.say(f"{folder} is finished; another directory or seed starts another run.")
            reporter.result(result)
            return result
    with workdir.locked(folder), contextlib.closing(reporter):
        try:
            loop.fit(experiment, folder, signals, reporter)
        except loop.Diverged as error:
            where = explain(error, experiment, folder)
            raise loop.Diverged(f"{error}; {where}", error.state, error.batch) from error
    return reporter.finished


def _check_initial(experiment: Experiment, metadata: dict[str, Any], reporter: Reporter) -> None:
    """Refuses parameters of another run that do not fit, before anything compiles."""
    other = Path(experiment.init_from)
    _, arrays = resume.best(other, reporter.warn)
    template = jax.eval_shape(train_state.make_init(experiment))
    initial.take(experiment, template, arrays, f"init_from={other}")
    if experiment.init_include == ("*",) and not experiment.init_exclude:
        checks.check_vocabulary(metadata, read_record(other)["metadata"], f"--init_from={other}")


def explain(error: loop.Diverged, experiment: Experiment, folder: Path) -> str:
    """Locates the first NaN or infinity of the step that diverged."""
    if error.state is None:
        return "--debug_nans tells where it began"
    key = step_key(experiment.seed, error.state.step)
    task, model = experiment.task, experiment.model
    with freeze.as_evaluated(experiment.optimizer.frozen(error.state.params)):
        return nan_finder.explain(task, model, error.state, error.batch, key, folder)


def make_record(experiment: Experiment, source: Source, metadata: dict[str, Any]) -> dict[str, Any]:
    """The config.json of a run: all that its result depends on, and when it began."""
    return {
        "experiment": source.name,
        "command": source.command,
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "arguments": list(source.arguments),
        "config": config.to_dict(experiment),
        "metadata": metadata,
        "environment": workdir.environment(),
        "git": provenance.git((source.path or Path(__file__)).parent),
        "code": provenance.digests(experiment, source.path, source.path and source.path.name),
        "code_changes": [],
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences orbax's logging: what fails is raised."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def warn(text: str) -> None:
    """A warning on standard error."""
    print(f"warning: {text}", file=sys.stderr)


def _predict_flag(experiment: Experiment) -> str | None:
    """The flag by which a run is applied to inputs of one's own, if it is."""
    if not isinstance(experiment.task, Predictive):
        return None
    if experiment.data.reads_questions:
        return "--input=FILE --prompt='...'"
    if experiment.data.reads_prompts:
        return "--prompt='...'"
    return "--input=FILE" if experiment.data.input_suffixes else None
