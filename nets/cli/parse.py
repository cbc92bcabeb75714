"""The command line: which command, which experiment, which flags."""

import dataclasses
import difflib
import json
import os
import re
import shlex
import zlib
from pathlib import Path
from typing import Any

from nets.cli import catalogue
from nets.cli.options import COMMANDS, Compare, Evaluate, Options, Train
from nets.errors import UserError

PYTHON = "an experiment from Python"  # the name of one in config.json


@dataclasses.dataclass(frozen=True)
class Command:
    """A parsed command line.

    Attributes:
        verb: one of COMMANDS.
        options: flags of the command.
        line: the command line, as one would type it again.
        name: the experiment's name, or the absolute path of its file where it was given by path.
        path: the experiment's file.
        folder: the project's experiments.
        default: the experiment as its file defines it.
        experiment: the same with the flags' values.
        variants: of `compare`, the command that trains each of the file's variants.
    """

    verb: str
    options: Options
    line: str
    name: str
    path: Path
    folder: Path
    default: Any
    experiment: Any
    variants: dict[str, "Command"] = dataclasses.field(default_factory=dict)

    def changes(self, experiment: Any) -> dict[str, str]:
        """The fields that differ from the experiment's file, as text by flag name, after the
        variant."""

        from nets.cli import config

        before = {leaf.path: config.to_text(leaf.value) for leaf in config.leaves(self.default)}
        after = {leaf.path: config.to_text(leaf.value) for leaf in config.leaves(experiment)}
        changed = {path: text for path, text in after.items() if before.get(path) != text}
        replaced = [path for path in ("steps", "epochs") if changed.get(path) == "none"]
        chosen = {"variant": self.options.variant} if self.options.variant is not None else {}
        return chosen | {path: text for path, text in changed.items() if path not in replaced}

    def workdir(self, experiment: Any) -> Path:
        """The work directory of one run; its overrides are in the name of the default one."""
        from nets.train.experiment import SILENT

        compare = isinstance(self.options, Compare)
        if self.options.workdir is not None:
            several = isinstance(self.options, Train) and len(self.options.seed) > 1
            several = several and not compare
            return Path(self.options.workdir) / (f"seed={experiment.seed}" if several else "")
        changes = self.changes(experiment)
        parts = [f"{path}={text}" for path, text in changes.items() if path not in SILENT]
        stem = Path(self.name).stem + ("-compare" if compare else "")
        return Path("runs") / folder_name("-".join([stem, *parts]))


def folder_name(text: str) -> str:
    """The text as the name of a folder: without separators or blanks, and not too long."""
    name = text.replace(os.sep, "_").replace(" ", "_")
    return f"{name[:180]}-{zlib.crc32(name.encode()):08x}" if len(name) > 200 else name


def parse(argv: list[str], folder: Path) -> Command | None:
    """Understands a command line; None where it requests help, which is then printed.

    Raises:
        UserError: unknown command, experiment or flag; a value of the wrong type or an impossible
            one.
    """
    import absl.flags

    from nets.cli import flags, help_text

    verb, rest = ("train", argv[1:]) if not argv[1:] or argv[1][:1] == "-" else (argv[1], argv[2:])
    if verb not in COMMANDS:
        raise UserError(f"unknown command '{verb}'; there are {', '.join(['list', *COMMANDS])}.")
    no_options = COMMANDS[verb]()
    try:
        arguments = absl.flags.FlagValues().read_flags_from_files(rest, force_gnu=True)
        arguments = ["--help" if a in ("-h", "-help", "--helpfull") else a for a in arguments]
        options = _options(no_options, arguments)
        name, saved = options.experiment, _saved(options.workdir)
        if saved and (name is None or issubclass(COMMANDS[verb], Evaluate)):
            arguments = _without_length(saved["arguments"], arguments) + arguments
            options = _options(no_options, arguments)
            name = name or saved["experiment"]
            if name == PYTHON:
                raise UserError(
                    f"{options.workdir} was trained from Python: resume it by nets.cli.runs.train, "
                    "use it by nets.cli.runs.load."
                )
        if name is None:
            if options.help:
                print(help_text.render(no_options))
                return None
            if options.workdir is not None:
                raise UserError(
                    f"there is no run in {options.workdir}; name one by --workdir, or start one by "
                    "--experiment=NAME."
                )
            raise UserError("--experiment=NAME is needed; `python launch.py list` names all.")

        path = _file(name, folder, options.workdir)
        name = str(path) if name.endswith(".py") else name
        default = catalogue.load(str(path), folder, options.variant)
        if options.help:
            print(help_text.render(no_options, flags.choose(default, arguments)))
            return None
        options, experiment = _apply(verb, default, arguments)
        line = shlex.join(["python", "launch.py", *argv[1:]])
        command = Command(verb, options, line, name, path, folder, default, experiment)
        if isinstance(options, Compare):
            return dataclasses.replace(command, variants=_variants(command, arguments))
        return command
    except absl.flags.Error as error:
        raise UserError(" ".join(str(error).split())) from None


def _options(no_options: Options, arguments: list[str]) -> Options:
    """The flags of the command among the arguments."""
    from nets.cli import config, flags

    values = _values(no_options)
    values(["", *arguments], known_only=True)
    return config.replace(no_options, flags.changed(no_options, values))


def _apply(verb: str, default: Any, arguments: list[str]) -> tuple[Options, Any]:
    """The flags of the command, and the experiment with the values of its own."""
    import absl.flags

    from nets.cli import config, flags

    no_options = COMMANDS[verb]()
    chosen = flags.choose(default, arguments)
    values = _values(no_options)
    flags.define(chosen, values, "experiment", skip=tuple(no_options.__dict__))
    try:
        left = values(["", *arguments])[1:]
    except absl.flags.UnrecognizedFlagError as error:
        raise UserError(_unknown(error.flagname, verb, list(values))) from None
    if left:
        raise UserError(f"unexpected '{' '.join(left)}'; flags are written --name=value.")
    options = config.replace(no_options, flags.changed(no_options, values))
    changes = flags.changed(chosen, values)
    if isinstance(options, Train):  # whose seeds may be several
        changes.pop("seed", None)
        changes |= {"seed": options.seed[0]} if len(options.seed) == 1 else {}
    for length, other in (("steps", "epochs"), ("epochs", "steps")):
        if changes.get(length) is not None and other not in changes:
            changes[other] = None
    return options, config.replace(chosen, changes)


def _variants(command: Command, arguments: list[str]) -> dict[str, Command]:
    """The command that trains each variant; its directory lies in the comparison's.

    Raises:
        UserError: there is no such variant, or a flag is not one of all of them.
    """
    folder = command.workdir(command.experiment)
    defaults = catalogue.variants(str(command.path), command.folder)
    commands = {}
    for variant in command.options.variants or defaults:
        default = catalogue.choose(defaults, variant, "variants")
        _, experiment = _apply(command.verb, default, arguments)
        train = {field: getattr(command.options, field) for field in Train.__dataclass_fields__}
        where = {"variant": variant, "workdir": str(folder / folder_name(f"variant={variant}"))}
        commands[variant] = dataclasses.replace(
            command, options=Train(**train | where), default=default, experiment=experiment
        )
    return commands


def _without_length(saved: list[str], arguments: list[str]) -> list[str]:
    """The arguments of a run, without how long it is where `arguments` say another length."""
    length = re.compile("--?(steps|epochs)(=.*)?")
    if not any(length.fullmatch(argument) for argument in arguments):
        return saved
    return [argument for argument in saved if not length.fullmatch(argument)]


def _file(name: str, folder: Path, workdir: str | None) -> Path:
    """The absolute path of an experiment's file."""
    try:
        return catalogue.find(name, folder).resolve()
    except UserError as error:
        copy = Path(workdir or "") / "experiment.py"
        if workdir is None or not copy.is_file():
            raise
        raise UserError(f"{error} A copy of the run's own is {copy}.") from None


def _unknown(flag: str, verb: str, names: list[str]) -> str:
    others = [other for other, kind in COMMANDS.items() if flag in kind.__dataclass_fields__]
    if others:
        several = ", ".join(others[:-1]) + " and " if others[1:] else ""
        return f"--{flag} is a flag of {several}{others[-1]}, not of {verb}."
    same = [name for name in names if name.rpartition(".")[2] == flag]
    near = same or difflib.get_close_matches(flag, names, n=1)
    hint = f" Did you mean {' or '.join(f'--{name}' for name in near)}?" if near else ""
    return f"unknown flag --{flag}.{hint} --help lists all."


def _values(options: Options) -> Any:
    import absl.flags

    from nets.cli import flags

    values = absl.flags.FlagValues()
    values.set_gnu_getopt(True)
    flags.define(options, values, "command", skip=())
    return values


def _saved(workdir: str | None) -> dict[str, Any] | None:
    path = Path(workdir or "") / "config.json"
    if not workdir or not path.is_file():
        return None
    try:
        return json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as a run's configuration: {error}.") from None
