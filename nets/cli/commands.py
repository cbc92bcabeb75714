"""The commands of the command line."""

import contextlib
import dataclasses
import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import jax

from nets.cli import checks, compilation_cache
from nets.cli.parse import Command
from nets.cli.verify import verify_resume
from nets.errors import UserError
from nets.inspect import nan_finder, summary
from nets.report import page
from nets.report.reporter import Reporter
from nets.tasks.task import Generative
from nets.train import config, initial, loop, provenance, resume, workdir
from nets.train import sharding as meshes
from nets.train import train_state as states
from nets.train.checkpoint import NotSaved
from nets.train.evaluate import Evaluator
from nets.train.experiment import (
    Experiment,
    as_trained,
    batch_struct,
    known_metadata,
    make_trained,
    resolve,
)
from nets.train.signals import Signals, Stopped
from nets.train.step import step_key


def run(command: Command) -> int:
    """Carries the command out; the exit code."""
    quiet()
    options = command.options
    if options.distributed:
        jax.distributed.initialize(options.coordinator, options.num_processes, options.process_id)
    compilation_cache.use_cache(options.compilation_cache)
    verb = {"train": train, "show": describe, "eval": evaluate, "sample": sample,
            "verify-resume": verify_resume}[command.verb]  # fmt: skip
    with Signals() as signals:
        try:
            return verb(command, signals)
        except Stopped as stopped:
            print(f"{stopped}; the same command goes on from here", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(stopped.code)  # a thread may still be compiling, which nothing else ends
        except (loop.Diverged, NotSaved) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"error: {error} ({_place(error, command)})", file=sys.stderr)
            return 1


def _place(error: OSError, command: Command) -> str:
    """Where an error was raised; the traceback goes to log.txt, where there is a work directory."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not provenance.is_installed(Path(f.filename))]
    place = f"at {own[-1].filename}:{own[-1].lineno}"
    log = command.workdir(command.experiment) / "log.txt"
    with contextlib.suppress(OSError), open(log, "a") as file:
        traceback.print_exception(error, file=file)
        return f"{place}; the traceback is in {log}"
    return place


def quiet() -> None:
    """Silences orbax's logging: what fails is said by the verb."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)


def train(command: Command, signals: Signals) -> int:
    """Trains each seed in turn, and ends with mean and spread where there are several."""
    seeds = command.options.seed or (command.experiment.seed,)
    experiments = [dataclasses.replace(command.experiment, seed=seed) for seed in seeds]
    results = [train_one(command, experiment, signals) for experiment in experiments]
    for line in over_seeds(results):
        print(line)
    if len(seeds) > 1 and jax.process_index() == 0:
        folder = seeds_folder(command)
        runs = [
            {"seed": experiment.seed, "workdir": str(command.workdir(experiment))} | result
            for experiment, result in zip(experiments, results, strict=True)
        ]
        page.write_seeds(folder, command.name, runs)
        print(f"table of the seeds: {folder / 'seeds.html'}")
    return 0


def seeds_folder(command: Command) -> Path:
    """Where the table of several seeds lies: in their --workdir, else beside their folders, in
    runs/NAME-seeds=0,1,2."""
    if command.options.workdir is not None:
        return Path(command.options.workdir)
    one = command.workdir(dataclasses.replace(command.experiment, seed=command.default.seed))
    return one.with_name(f"{one.name}-seeds={config.to_text(command.options.seed)}")


def over_seeds(results: list[dict[str, Any]]) -> list[str]:
    """Mean and standard deviation over several seeds, one line per metric."""
    return [
        f"{name}: {v['mean']:.6g} +- {v['standard_deviation']:.2g} over {v['seeds']} seeds"
        for name, v in page.over_seeds(results).items()
    ]


def train_one(command: Command, experiment: Experiment, signals: Signals) -> dict[str, Any]:
    """One run, from wherever its work directory stands; its result."""
    folder = command.workdir(experiment)
    metadata = experiment.data.metadata()
    experiment = checks.checked(resolve(experiment, metadata), metadata)
    samples = isinstance(experiment.task, Generative)
    reporter = Reporter(
        folder,
        record(command, experiment, metadata),
        active=jax.process_index() == 0,
        samples=samples,
        source=command.path,
    )
    reporter.record = workdir.check(
        folder, reporter.record, reporter.warn, command.options.allow_changed_code
    )
    if (warmup := experiment.optimizer.warmup) > experiment.steps:
        reporter.warn(
            f"--optimizer.warmup={warmup} is above --steps={experiment.steps}: the learning "
            f"rate only rises, to {experiment.steps / warmup:.0%} of its peak"
        )
    experiment.data.train(experiment.seed)  # refuses what is impossible before anything compiles
    if experiment.init_from is not None:
        other = Path(experiment.init_from)
        _, arrays = resume.best(other, reporter.warn)
        template = jax.eval_shape(states.make_init(experiment))
        initial.take(experiment, template, arrays, f"--init_from={other}")
        if experiment.init_include == ("*",) and not experiment.init_exclude:
            known = json.loads((other / "config.json").read_text())["metadata"]
            checks.check_vocabulary(metadata, known, f"--init_from={other}")
    finished = folder / "result.json"
    if finished.is_file():
        result = json.loads(finished.read_text())
        if result["step"] > experiment.steps:
            raise UserError(f"--steps={experiment.steps}, but {folder} has done {result['step']}.")
        if result["step"] == experiment.steps:
            reporter.say(f"{folder} is finished; another --workdir or --seed starts another run.")
            reporter.result(result)
            return result
    with workdir.locked(folder), contextlib.closing(reporter):
        try:
            loop.fit(experiment, folder, signals, reporter)
        except loop.Diverged as error:
            where = explain(error, experiment, folder)
            raise loop.Diverged(f"{error}; {where}", error.state, error.batch) from error
    return reporter.finished


def explain(error: loop.Diverged, experiment: Experiment, folder: Path) -> str:
    """Locates the first NaN or infinity of the step that diverged."""
    if error.state is None:
        return "--debug_nans tells where it began"
    key = step_key(experiment.seed, error.state.step)
    task, model = experiment.task, experiment.model
    return nan_finder.explain(task, model, error.state, error.batch, key, folder)


def record(command: Command, experiment: Experiment, metadata: dict[str, Any]) -> dict[str, Any]:
    """What config.json holds of a run: all that its result depends on, and when it began."""
    given = dataclasses.replace(command.experiment, seed=experiment.seed)
    return {
        "experiment": command.name,
        "command": command.line,
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "arguments": [f"--{path}={text}" for path, text in command.changes(given).items()],
        "config": config.to_dict(experiment),
        "metadata": metadata,
        "environment": workdir.environment(),
        "git": provenance.git(command.path.parent),
        "code": provenance.digests(experiment, command.path),
        "code_changes": [],
    }


def describe(command: Command, signals: Signals) -> int:
    """Prints what the experiment is made of; trains and reads nothing that is not prepared."""
    metadata, missing = known_metadata(command.experiment.data)
    experiment = resolve(command.experiment, metadata)
    try:
        checks.checked(experiment, metadata)
    except UserError:
        if missing is not None:  # which is why
            raise missing from None
        raise
    if missing is not None:
        print(f"note: {missing}", file=sys.stderr)
    description = summary.describe(
        experiment.model,
        experiment.task,
        experiment.optimizer.build(experiment.steps),
        batch_struct(experiment.data),
        config.to_dict(experiment),
    )
    as_json = command.options.format == "json"
    print(json.dumps(description, indent=1) if as_json else summary.render(description))
    return 0


def loaded(command: Command) -> tuple[Experiment, Any, dict, int, dict]:
    """Experiment, parameters, model state, step and metadata of the run in the work directory.

    Raises:
        UserError: there is no such run, or it holds something else.
    """
    folder = command.workdir(command.experiment)
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no run; train one first, or name it with --workdir.")
    held = json.loads(path.read_text())
    metadata = held["metadata"]
    experiment = resolve(command.experiment, metadata)
    data = as_trained(experiment.data, metadata)
    experiment = checks.checked(dataclasses.replace(experiment, data=data), metadata)
    if changed := provenance.changes(held["code"], provenance.digests(experiment, command.path)):
        _warn(f"the code has changed since this run: {', '.join(changed)}")
    step, arrays = resume.best(folder, _warn, command.options.checkpoint)
    template = jax.eval_shape(states.make_init(experiment))
    params, model_state = resume.parameters(template, arrays, f"checkpoint {step} of {folder}")
    return experiment, params, model_state, step, metadata


def evaluate(command: Command, signals: Signals) -> int:
    """Evaluates a checkpoint on every evaluation split and prints the metrics.

    Inputs are normalised as those of the run were, on whatever data.

    Raises:
        UserError: the data has other symbols or another number of classes, or nothing to evaluate.
    """
    experiment, params, model_state, step, metadata = loaded(command)
    data_metadata = experiment.data.metadata()
    checks.check_vocabulary(data_metadata, metadata, "the run")
    checks.check_classes(data_metadata, metadata, _warn)
    if not experiment.data.splits():
        raise UserError("the data has no validation and no test split: nothing to evaluate.")
    mesh = meshes.make()
    meshes.check("data.eval_batch_size", experiment.data.eval_batch_size, mesh)
    params, model_state = meshes.put((params, model_state), meshes.replicated(mesh))
    carried = jax.eval_shape(states.make_init(experiment)).model_state
    if "carry" in carried:
        model_state = {**model_state, "carry": None}  # begun afresh by the evaluator
    evaluator = Evaluator(experiment, mesh, signals)
    for split in experiment.data.splits():
        values, _ = evaluator(params, model_state, split, final=True)
        shown = "  ".join(f"{name} {value:.6g}" for name, value in values.items())
        print(f"step {step}  {split}: {shown}")
    return 0


def sample(command: Command, signals: Signals) -> int:
    """Prints what a generating model writes after the prompt."""
    if not isinstance(command.experiment.task, Generative):
        raise UserError(f"{command.name} has nothing to sample: its model does not generate.")
    options = command.options
    if options.prompt is None and command.experiment.task.needs_prompt:
        raise UserError("--prompt='...' is needed: the sentence to translate.")
    experiment, params, model_state, _, metadata = loaded(command)
    if options.length < 1 or options.temperature < 0:
        raise UserError("--length is at least 1 and --temperature at least 0.")
    key = jax.random.key(experiment.seed)
    trained = make_trained(experiment, params, model_state, metadata, key)
    prompt = "\n" if options.prompt is None else options.prompt
    if not (ids := trained.tokenizer.encode(prompt)):
        raise UserError(f"--prompt={prompt!r} has no symbols.")
    text = experiment.task.sample(
        trained,
        ids,
        options.length,
        options.temperature,
        options.top_k,
    )
    print(prompt + text)
    return 0


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
