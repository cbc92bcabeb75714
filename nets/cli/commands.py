"""The commands of the command line."""

import contextlib
import dataclasses
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import jax

from nets.cli import checks, compilation_cache, config, provenance, runs
from nets.cli.parse import Command
from nets.cli.predict import predict
from nets.cli.resolve import known_metadata, resolve
from nets.cli.verify import verify_resume
from nets.errors import UserError, inside
from nets.inspect import summary
from nets.report import comparison, page
from nets.tasks.task import Generative, Trained
from nets.train import loop, sharding, train_state
from nets.train.checkpoint import NotSaved
from nets.train.evaluate import Evaluator
from nets.train.experiment import Experiment, batch_struct
from nets.train.signals import Signals, Stopped


def run(command: Command) -> int:
    """Carries the command out; the exit code."""
    options = command.options
    if options.distributed:
        jax.distributed.initialize(options.coordinator, options.num_processes, options.process_id)
    compilation_cache.use_cache(options.compilation_cache)
    verb = {"train": train, "compare": compare, "show": describe, "eval": evaluate,
            "sample": sample, "predict": predict,
            "verify-resume": verify_resume}[command.verb]  # fmt: skip
    with runs.quiet(), Signals() as signals:
        try:
            return verb(command, signals)
        except Stopped as stopped:
            print(f"{stopped}; the same command resumes from here", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(stopped.code)  # a thread may still be compiling, which nothing else ends
        except (loop.Diverged, NotSaved) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"error: {error} ({_location(error, command)})", file=sys.stderr)
            return 1


def _location(error: OSError, command: Command) -> str:
    """The location of an error; the traceback goes to log.txt, where there is a work directory."""
    frames = traceback.extract_tb(error.__traceback__)
    editable = [f for f in frames if not provenance.is_installed(Path(f.filename))]
    location = f"at {editable[-1].filename}:{editable[-1].lineno}"
    log = command.workdir(command.experiment) / "log.txt"
    with contextlib.suppress(OSError), open(log, "a") as file:
        traceback.print_exception(error, file=file)
        return f"{location}; the traceback is in {log}"
    return location


def train(command: Command, signals: Signals) -> int:
    """Trains each seed in turn, and ends with mean and spread where there are several."""
    rows = [train_one(command, one, signals) for one in of_seeds(command)]
    for line in over_seeds(rows):
        print(line)
    if len(rows) > 1 and jax.process_index() == 0:
        folder = seeds_folder(command)
        page.write_seeds(folder, command.name, rows)
        print(f"table of the seeds: {folder / 'seeds.html'}")
    return 0


def of_seeds(command: Command) -> list[Experiment]:
    """The experiment with each of the command's seeds."""
    seeds = command.options.seed or (command.experiment.seed,)
    return [dataclasses.replace(command.experiment, seed=seed) for seed in seeds]


def train_one(command: Command, experiment: Experiment, signals: Signals) -> dict[str, Any]:
    """Trains one seed of a command; its result, with "seed" and "workdir"."""
    folder, allowed = command.workdir(experiment), command.options.allow_changed_code
    result = runs.train_one(experiment, folder, source(command, experiment), signals, allowed)
    return {"seed": experiment.seed, "workdir": str(folder)} | result


def compare(command: Command, signals: Signals) -> int:
    """Trains each variant with each seed, and ends with a table of all.

    A run whose loss is no longer finite is in the table as one that diverged.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for variant, one in command.variants.items():
        for experiment in of_seeds(one):
            print(f"--- {variant}, seed {experiment.seed}", flush=True)
            try:
                row = train_one(one, experiment, signals)
            except loop.Diverged as error:
                print(error)
                folder = str(one.workdir(experiment))
                row = {"seed": experiment.seed, "workdir": folder, "diverged": str(error)}
            rows.setdefault(variant, []).append(row)
    if jax.process_index() == 0:
        folder = command.workdir(command.experiment)
        print(comparison.write(folder, command.name, rows))
        print(f"the comparison: {folder / 'compare.html'}")
    return 0


def source(command: Command, experiment: Experiment) -> runs.Source:
    """The source of one run of a command."""
    changes = command.changes(dataclasses.replace(command.experiment, seed=experiment.seed))
    arguments = tuple(f"--{path}={text}" for path, text in changes.items())
    return runs.Source(command.name, command.line, arguments, command.path)


def seeds_folder(command: Command) -> Path:
    """The folder of the table of several seeds: in their --workdir, else beside their folders, in
    runs/NAME-seeds=0,1,2."""
    if command.options.workdir is not None:
        return Path(command.options.workdir)
    one = command.workdir(dataclasses.replace(command.experiment, seed=command.default.seed))
    return one.with_name(f"{one.name}-seeds={config.to_text(command.options.seed)}")


def over_seeds(results: list[dict[str, Any]]) -> list[str]:
    """Mean and standard deviation over several seeds, one line per metric."""
    return [
        f"{name}: {spread.mean:.6g} +- {spread.standard_deviation:.2g} over {spread.seeds} seeds"
        for name, spread in page.over_seeds(results).items()
    ]


def describe(command: Command, signals: Signals) -> int:
    """Prints what the experiment is made of; trains and reads nothing that is not prepared."""
    metadata, missing = known_metadata(command.experiment.data)
    try:
        experiment = checks.checked(resolve(command.experiment, metadata), metadata)
    except UserError:
        if missing is not None:  # which is why
            raise missing from None
        raise
    if missing is not None:
        print(f"note: {missing.as_flag()}", file=sys.stderr)
    description = summary.describe(
        experiment.model,
        experiment.task,
        experiment.optimizer.build(experiment.steps),
        batch_struct(experiment.data),
        config.to_dict(experiment),
        metadata.get("shapes", 1),
    )
    as_json = command.options.format == "json"
    print(json.dumps(description, indent=1) if as_json else summary.render(description))
    return 0


def evaluate(command: Command, signals: Signals) -> int:
    """Evaluates a checkpoint on every evaluation split and prints the metrics.

    Inputs are normalised as those of the run were, on whatever data.

    Raises:
        UserError: the data has other symbols or columns, another number of classes, or nothing to
            evaluate.
    """
    experiment, trained, step = restored(command)
    with inside("data"):
        metadata = experiment.data.metadata()
    checks.check_vocabulary(metadata, trained.metadata, "the run")
    checks.check_classes(metadata, trained.metadata, runs.warn)
    checks.check_columns(metadata, trained.metadata)
    if not experiment.data.splits():
        raise UserError("the data has no validation and no test split: nothing to evaluate.")
    mesh = sharding.make()
    sharding.check("data.eval_batch_size", experiment.data.eval_batch_size, mesh)
    parts = trained.params, trained.model_state
    params, model_state = sharding.put(parts, sharding.replicated(mesh))
    carried = jax.eval_shape(train_state.make_init(experiment)).model_state
    if "carry" in carried:
        model_state = {**model_state, "carry": None}  # begun afresh by the evaluator
    evaluator = Evaluator(experiment, mesh, signals)
    for split in experiment.data.splits():
        values, _ = evaluator(params, model_state, split, final=True)
        metrics = "  ".join(f"{name} {value:.6g}" for name, value in values.items())
        print(f"step {step}  {split}: {metrics}")
    return 0


def sample(command: Command, signals: Signals) -> int:
    """Prints what a generating model writes after the prompt, or writes its pictures and sounds."""
    task, options = command.experiment.task, command.options
    if not isinstance(task, Generative):
        raise UserError(f"{command.name} has nothing to sample: its model does not generate.")
    if options.prompt is None and task.needs_prompt:
        raise UserError("is needed: the sentence to translate.", "prompt")
    experiment, trained, _ = restored(command)
    prompt = task.default_prompt if options.prompt is None else options.prompt
    if trained.tokenizer is None and options.prompt is not None:
        raise UserError(f"is for models of text, got {prompt!r}.", "prompt")
    ids = trained.tokenizer.encode(prompt) if prompt else []
    if prompt and not ids or options.prompt == "":
        raise UserError(f"must have symbols, got {prompt!r}.", "prompt")
    result = experiment.task.sample(
        trained,
        ids,
        options.length,
        options.temperature,
        options.top_k,
    )
    if isinstance(result, str):
        print(prompt + result)
        return 0
    folder = command.workdir(command.experiment) / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in result.figures.items():
        print(figure.write(folder, name))
    print(result.summary)
    return 0


def restored(command: Command) -> tuple[Experiment, Trained, int]:
    """The command's run, as `runs.restored` gives it."""
    folder = command.workdir(command.experiment)
    return runs.restored(command.experiment, folder, command.path, command.options.checkpoint)
