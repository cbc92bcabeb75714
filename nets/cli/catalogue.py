"""The experiments of a folder, by kind: found by file name, listed without importing them."""

import ast
import difflib
import importlib.util
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nets.errors import UserError

_MARKDOWN = "--format=markdown"


class Listing(NamedTuple):
    """An experiment's advertisement, read from its file without importing it."""

    kind: str  # the subfolder
    name: str
    summary: str
    measured: str
    extra: str | None  # of pyproject.toml, which it needs installed


def listing(folder: Path, words: Sequence[str] = ()) -> list[Listing]:
    """The experiments of a folder whose kind, name or summary contains every one of the words.

    Each is read from its docstring: the first line, the paragraph `Measured: ...`, and the line
    `Needs: the extra NAME.` where it has one.
    """
    entries = []
    for name, path in files(folder).items():
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        measured = re.search(r"Measured: (.*?)(\n\n|\Z)", text, re.DOTALL)
        extra = re.search(r"^Needs: the extra (\w+)\.$", text, re.MULTILINE)
        kind = path.parent.relative_to(folder).as_posix()
        entry = Listing(
            kind,
            name,
            text.partition("\n")[0],
            " ".join(measured[1].split()) if measured else "not measured",
            extra[1] if extra else None,
        )
        searched = f"{kind} {name} {entry.summary}".lower()
        if all(word.lower() in searched for word in words):
            entries.append(entry)
    return entries


def files(folder: Path) -> dict[str, Path]:
    """The files of the experiments by name, in any subfolder, in the order of their paths.

    Raises:
        UserError: two have the same name.
    """
    paths: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        if path.stem in paths:
            raise UserError(f"two experiments have one name: {paths[path.stem]} and {path}.")
        paths[path.stem] = path
    return paths


def find(name: str, folder: Path) -> Path:
    """The file of that experiment; a name that ends in `.py` is itself a path.

    Raises:
        UserError: there is none; names the nearest.
    """
    names = files(folder)
    path = Path(name) if name.endswith(".py") else names.get(name)
    if path is None or not path.is_file():
        near = difflib.get_close_matches(name, names, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"no experiment '{name}'. {hint}`python launch.py list` names all.")
    return path


def render(arguments: list[str], folder: Path) -> str:
    """The answer to `list [WORD ...] [--long | --format=markdown]`.

    It is a line for each experiment, its details, or the page `experiments/README.md`.

    Raises:
        UserError: another flag is given, or no experiment has all of the words.
    """
    words = [argument for argument in arguments if not argument.startswith("-")]
    flags = sorted({argument for argument in arguments if argument.startswith("-")})
    if unknown := [flag for flag in flags if flag not in ("--long", _MARKDOWN)]:
        raise UserError(f"list takes words, --long and {_MARKDOWN}, got {' '.join(unknown)}.")
    entries = listing(folder, words)
    if not entries:
        raise UserError(f"no experiment has {' and '.join(words)} in its kind, name or summary.")
    if _MARKDOWN in flags:
        return _page(entries)
    if flags:
        return "\n".join(map(_details, entries))
    width = max(len(entry.name) for entry in entries)
    lines = [f"{e.name:{width}}  {e.summary}{_needs(e)}" for e in entries]
    return "\n".join(lines)


def _page(entries: list[Listing]) -> str:
    head = f"""# Experiments

One file is one experiment; its docstring says more. Run it by `python launch.py --experiment=NAME`.
Each figure was measured by that command, with start-up and compilation in its time, on the machine
that it names. This page is what `python launch.py list {_MARKDOWN}` prints."""
    parts = [head]
    for kind, group in itertools.groupby(entries, key=lambda entry: entry.kind):
        rows = [f"| `{e.name}` | {e.summary}{_needs(e)} | {e.measured} |" for e in group]
        table = ["| experiment | what it shows | measured |", "|---|---|---|", *rows]
        parts += [f"## {kind.capitalize()}", "\n".join(table)]
    return "\n\n".join(parts)


def _details(entry: Listing) -> str:
    return f"{entry.name}{_needs(entry)}\n    {entry.summary}\n    measured: {entry.measured}"


def _needs(entry: Listing) -> str:
    return f"  (pip install -e '.[{entry.extra}]')" if entry.extra else ""


def load(name: str, folder: Path, variant: str | None = None) -> Any:
    """The experiment of that name in the folder, or of the `.py` file that `name` is a path of.

    Args:
        variant: which of the file's variants. None means its `experiment()`.

    Raises:
        UserError: there is none, or the file defines no such function or variant.
    """
    path = find(name, folder)
    functions = _functions(path)
    if variant is not None:
        return choose(_variants(path, functions), variant, "variant")
    if not callable(functions.get("experiment")):
        raise UserError(f"{path} defines no function experiment() that returns an Experiment.")
    return functions["experiment"]()


def variants(name: str, folder: Path) -> dict[str, Any]:
    """The experiments that a file's `variants()` returns, by name.

    Raises:
        UserError: the file defines no such function, or it returns nothing.
    """
    path = find(name, folder)
    return _variants(path, _functions(path))


def _variants(path: Path, functions: dict[str, Any]) -> dict[str, Any]:
    if not callable(functions.get("variants")):
        raise UserError(f"{path} defines no function variants() that returns Experiments by name.")
    return functions["variants"]()


def choose(variants: dict[str, Any], name: str, field: str) -> Any:
    """The variant of that name, or UserError that names the field."""
    if name not in variants:
        raise UserError(f"must be one of {', '.join(variants)}, got {name}.", field)
    return variants[name]


def _functions(path: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that the type hints of classes defined there resolve
    spec.loader.exec_module(module)
    return vars(module)
