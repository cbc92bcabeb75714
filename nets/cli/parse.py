"""The command line: which verb, which experiment, which flags."""

import dataclasses
import difflib
import json
import os
import re
import shlex
import zlib
from pathlib import Path
from typing import Any, Literal

from nets.cli import catalogue
from nets.errors import UserError

VERBS = ("train", "list", "show", "eval", "sample", "verify-resume")


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags that belong to the command and not to the experiment.

    Attributes:
        experiment: name of a file in experiments/, or the path of a .py file.
        workdir: where the run lies; runs/<experiment> with its overrides unless given.
        seed: seed of the run; several, with commas, run in turn and end with mean and spread.
        allow_changed_code: go on with a run although the code that it began with was edited since.
        checkpoint: for eval and sample: best, latest, or a step.
        prompt: for sample: the text to go on from (None means a line's end), or the sentence to
            translate.
        length: for sample: characters (or words) to write.
        temperature: for sample: 0 takes the likeliest, 1 samples as the model says.
        top_k: for sample: the number of likeliest symbols that are drawn from; none is all.
        format: for show: text, or json for programs.
        compilation_cache: folder that keeps compiled programs from run to run; none for no such.
        distributed: join the other processes of this job (jax.distributed.initialize); SLURM, TPU
            pods and Open MPI tell it all it needs, elsewhere the next three do.
        coordinator: host:port of process 0.
        num_processes: processes in all.
        process_id: number of this process, from 0.
        help: print the flags and leave.
    """

    experiment: str | None = None
    workdir: str | None = None
    seed: tuple[int, ...] = ()
    allow_changed_code: bool = False
    checkpoint: str = "best"
    prompt: str | None = None
    length: int = 1000
    temperature: float = 0.8
    top_k: int | None = None
    format: Literal["text", "json"] = "text"
    compilation_cache: str | None = os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nets", "compilation"
    )
    distributed: bool = False
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None
    help: bool = False

    def __post_init__(self):
        for seed in self.seed:
            if self.seed.count(seed) > 1:
                raise UserError(
                    f"--seed has {seed} more than once: {','.join(map(str, self.seed))}."
                )


@dataclasses.dataclass(frozen=True)
class Command:
    """A parsed command line.

    Attributes:
        verb: one of VERBS.
        options: flags of the command.
        line: the command line, as one would type it again.
        name: the experiment's name, or the absolute path of its file where it was given by path.
        path: the experiment's file.
        folder: the project's experiments.
        default: the experiment as its file defines it.
        experiment: the same with the flags' values.
    """

    verb: str
    options: Options
    line: str
    name: str
    path: Path
    folder: Path
    default: Any
    experiment: Any

    def changes(self, experiment: Any) -> dict[str, str]:
        """What differs from the experiment's file, as text by flag name."""

        from nets.train import config

        before = {leaf.path: config.to_text(leaf.value) for leaf in config.leaves(self.default)}
        after = {leaf.path: config.to_text(leaf.value) for leaf in config.leaves(experiment)}
        changed = {path: text for path, text in after.items() if before.get(path) != text}
        replaced = [path for path in ("steps", "epochs") if changed.get(path) == "none"]
        return {path: text for path, text in changed.items() if path not in replaced}

    def workdir(self, experiment: Any) -> Path:
        """The work directory of one run; its overrides are in the name of the default one."""
        from nets.train.experiment import SILENT

        if self.options.workdir is not None:
            several = len(self.options.seed) > 1
            return Path(self.options.workdir) / (f"seed={experiment.seed}" if several else "")
        changes = self.changes(experiment)
        parts = [f"{path}={text}" for path, text in changes.items() if path not in SILENT]
        name = "-".join([Path(self.name).stem, *parts]).replace(os.sep, "_")
        if len(name) > 200:
            name = f"{name[:180]}-{zlib.crc32(name.encode()):08x}"
        return Path("runs") / name


def parse(argv: list[str], folder: Path) -> Command | None:
    """Understands a command line; None where it asked for help, which is then printed.

    Raises:
        UserError: unknown verb, experiment or flag; a value of the wrong type or an impossible one.
    """
    from absl import flags as absl_flags

    from nets.cli import flags, help_text
    from nets.train import config

    verb, rest = ("train", argv[1:]) if not argv[1:] or argv[1][:1] == "-" else (argv[1], argv[2:])
    if verb not in VERBS:
        raise UserError(f"unknown verb '{verb}'; there are {', '.join(VERBS)}.")
    try:
        arguments = absl_flags.FlagValues().read_flags_from_files(rest, force_gnu=True)
        arguments = ["--help" if a in ("-h", "-help", "--helpfull") else a for a in arguments]
        first = _values(flags)
        first(["", *arguments], known_only=True)
        options = config.replace(Options(), flags.given(Options(), first))
        name, saved = options.experiment, _saved(options.workdir)
        if saved and (name is None or verb in ("eval", "sample")):
            arguments = _without_length(saved["arguments"], arguments) + arguments
            name = name or saved["experiment"]
        if name is None:
            if options.help:
                print(help_text.render(VERBS, Options()))
                return None
            if options.workdir is not None:
                raise UserError(
                    f"there is no run in {options.workdir}; name one by --workdir, or start one by "
                    "--experiment=NAME."
                )
            names = ", ".join(entry.name for entry in catalogue.listing(folder))
            raise UserError(f"--experiment=NAME is needed; there are: {names}.")

        path = _file(name, folder, options.workdir)
        name = str(path) if name.endswith(".py") else name
        default = catalogue.load(str(path), folder)
        chosen = flags.choose(default, arguments)
        values = _values(flags)
        flags.define(chosen, values, Path(name).stem, skip=("seed",))
        if options.help:
            print(help_text.render(VERBS, Options(), chosen))
            return None
        left = values(["", *arguments])[1:]
        if left:
            raise UserError(f"unexpected '{' '.join(left)}'; flags are written --name=value.")
        options = config.replace(Options(), flags.given(Options(), values))
        given = flags.given(chosen, values)
        given.pop("seed", None)  # the command's, which may be several
        for length, other in (("steps", "epochs"), ("epochs", "steps")):
            if given.get(length) is not None and other not in given:
                given[other] = None
        experiment = config.replace(chosen, given)
    except absl_flags.UnrecognizedFlagError as error:
        raise UserError(_unknown(error, list(values))) from None
    except absl_flags.Error as error:
        raise UserError(" ".join(str(error).split())) from None
    if len(options.seed) == 1:
        experiment = dataclasses.replace(experiment, seed=options.seed[0])
    line = shlex.join(["python", "launch.py", *argv[1:]])
    return Command(verb, options, line, name, path, folder, default, experiment)


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


def _unknown(error: Any, names: list[str]) -> str:
    same = [name for name in names if name.rpartition(".")[2] == error.flagname]
    near = same or difflib.get_close_matches(error.flagname, names, n=1)
    hint = f" Did you mean {' or '.join(f'--{name}' for name in near)}?" if near else ""
    return f"unknown flag --{error.flagname}.{hint} --help lists all."


def _values(flags: Any) -> Any:
    from absl import flags as absl_flags

    values = absl_flags.FlagValues()
    values.set_gnu_getopt(True)
    flags.define(Options(), values, "command", skip=())
    return values


def _saved(workdir: str | None) -> dict[str, Any] | None:
    path = Path(workdir or "") / "config.json"
    if not workdir or not path.is_file():
        return None
    try:
        return json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as a run's configuration: {error}.") from None
