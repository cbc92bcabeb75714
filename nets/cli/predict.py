"""The command `predict`: what a run says of files of one's own, as pictures and JSON."""

import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jax

from nets.cli import runs
from nets.cli.parse import Command
from nets.data.dataset import Dataset, Input
from nets.errors import UserError
from nets.tasks.task import Generative, Predictive
from nets.train.signals import Signals


def predict(command: Command, signals: Signals) -> int:
    """Writes a picture and JSON for a sentence, an input, or each of a folder; one line for each.

    Of data that has questions about its inputs both are needed, and a folder is asked one question.

    A file of a folder that cannot be read is warned of and left out.

    Returns:
        the exit code, 2 where a file was left out.

    Raises:
        UserError: there is no such run or input, or nothing is predicted of such inputs.
    """
    options, task = command.options, command.experiment.task
    if not isinstance(task, Predictive):
        other = "; `sample` generates from it" if isinstance(task, Generative) else ""
        raise UserError(f"{command.name} has nothing to predict for files of one's own{other}.")
    asks = command.experiment.data.reads_questions
    _check_given(options.input, options.prompt, command.experiment.data)
    workdir = command.workdir(command.experiment)
    folder = Path(options.output or workdir / "predictions")
    files = []
    if options.input is not None:
        files = input_files(Path(options.input), command.experiment.data.input_suffixes)
    _check_output(folder, files[0].parent if files else None)
    experiment, trained, step = runs.restored(
        command.experiment, workdir, command.path, options.checkpoint
    )
    outputs, data = jax.jit(functools.partial(task.outputs, experiment.model)), experiment.data

    def write(name: str, origin: dict[str, Any], model_input: Input) -> str:
        """Predicts for one input and writes the files; the summary."""
        batch, source = model_input
        call = functools.partial(outputs, trained.params, trained.model_state, batch)
        result = task.prediction(trained, source, jax.device_get(signals.run(call)))
        folder.mkdir(parents=True, exist_ok=True)
        figures = {name: result.figure}
        figures |= {f"{name}_{suffix}": figure for suffix, figure in result.files.items()}
        written = [figure.write(folder, stem).name for stem, figure in figures.items()]
        origin = origin | {"run": str(workdir), "step": step, "files": written}
        (folder / f"{name}.json").write_text(to_json(origin | result.values))
        return result.summary

    failed, asked = 0, {"prompt": options.prompt} if asks else {}
    if options.prompt is not None and not asks:
        source = data.read_prompt(options.prompt, trained.metadata)
        print(write("prompt", {"prompt": options.prompt}, source), flush=True)
    for file, name in zip(files, output_names(files), strict=True):
        try:
            source = (
                data.load_question(file, options.prompt, trained.metadata)
                if asks
                else data.load_input(file, trained.metadata)
            )
        except UserError as error:
            if len(files) == 1 or error.field == "prompt":
                raise
            runs.warn(str(error))
            failed += 1
            continue
        print(f"{file}: {write(name, {'input': str(file)} | asked, source)}", flush=True)
    if failed < max(len(files), 1):
        print(f"pictures and JSON  {folder}")
    return 2 if failed else 0


def _check_given(path: str | None, prompt: str | None, data: Dataset) -> None:
    """Refuses, by UserError, an input or a prompt that is missing, or one too many."""
    if data.reads_questions:
        if path is None:
            raise UserError("is needed: an image, or a folder of images, to ask about.", "input")
        if prompt is None:
            raise UserError("is needed: the question about the input.", "prompt")
    elif data.reads_prompts:
        if path is not None:
            raise UserError(f"={path}: this run reads no files, but a text by --prompt.", "input")
        if prompt is None:
            raise UserError("is needed: a text like those that the run has learned from.", "prompt")
    else:
        if prompt is not None:
            raise UserError(f"={prompt}: this run reads no text, but files by --input.", "prompt")
        if path is None:
            raise UserError("is needed: a file, or a folder of files.", "input")


def input_files(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of an input: itself, or, by name, those of a folder with one of the suffixes.

    Raises:
        UserError: there are none.
    """
    if not path.exists():
        raise UserError(f"={path}: no such file or folder.", "input")
    if not path.is_dir() or not suffixes:
        return [path]
    files = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in suffixes)
    if not files:
        raise UserError(f"={path} has no files to predict for ({' '.join(suffixes)}).", "input")
    return files


def output_names(files: list[Path]) -> list[str]:
    """Names for what is written for each file: its own, with the suffix where two are the same."""
    stems = Counter(file.stem for file in files)
    return [file.stem if stems[file.stem] == 1 else file.name for file in files]


def to_json(values: dict[str, Any]) -> str:
    """JSON with a line for each value, and for each element of a list of objects."""
    lines = []
    for name, value in values.items():
        text = json.dumps(value)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _check_output(folder: Path, source: Path | None) -> None:
    """Refuses, by UserError, to write into the folder that an input is in, or into a file."""
    if source is not None and folder.resolve() == source.resolve():
        raise UserError(f"={folder} is the folder of the input; name another.", "output")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"={folder} is a file; a folder is needed.", "output")
