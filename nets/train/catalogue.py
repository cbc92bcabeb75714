"""The experiments of a folder, found by file name and listed without importing them."""

import ast
import difflib
import re
from pathlib import Path
from typing import NamedTuple

from nets.errors import UserError


class Listing(NamedTuple):
    """An experiment's advertisement, read from its file without importing it."""

    name: str
    summary: str
    measured: str


def listing(folder: Path) -> list[Listing]:
    """Every experiment in the folder: first line of the docstring and its `Measured:` paragraph."""
    found = []
    for path in sorted(folder.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        measured = re.search(r"Measured: (.*?)(\n\n|\Z)", text, re.DOTALL)
        found.append(
            Listing(
                path.stem,
                text.partition("\n")[0],
                " ".join(measured[1].split()) if measured else "not measured",
            )
        )
    return found


def find(name: str, folder: Path) -> Path:
    """The file of that experiment; a name that ends in `.py` is itself a path.

    Raises:
        UserError: there is none; names the nearest and all.
    """
    path = Path(name) if name.endswith(".py") else folder / f"{name}.py"
    if not path.is_file():
        names = [p.stem for p in sorted(folder.glob("*.py"))]
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UserError(f"no experiment '{name}'. {hint}There are: {', '.join(names)}.")
    return path


def render(entries: list[Listing]) -> str:
    """The list as text."""
    return "\n".join(f"{e.name}\n    {e.summary}\n    measured: {e.measured}" for e in entries)
