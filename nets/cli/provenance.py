"""The code that a run was made by: digests of its files, the git commit, a copy of its experiment.

A result is that of a configuration and of code; a run that resumes with other code than it began
with would be neither's.
"""

import ast
import functools
import hashlib
import importlib.util
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nets.cli import config

_NO_RESULT = ("nets.train", "nets.cli", "nets.report", "nets.inspect")
"""Rooms whose code decides no result."""
_INSTALLED = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]


def digests(experiment: Any, path: Path | None, name: str | None) -> dict[str, str]:
    """A digest by module of the code that decides what an experiment computes.

    They are those of the experiment's file (under `name`), where there is one, of the modules that
    define its model, task and data, and of all modules that those import, but for installed
    packages and the engine.
    """
    pending = [type(node).__module__ for node in config.nodes(experiment)]
    digest_by_name = {}
    if path is not None:
        digest_by_name[name] = _digest(path)
        pending += _imports(path, "")
    while pending:
        name = pending.pop()
        file = None if name in digest_by_name or name.startswith(_NO_RESULT) else _file(name)
        if file is not None and file != path:
            digest_by_name[name] = _digest(file)
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            pending += _imports(file, package)
    return dict(sorted(digest_by_name.items()))


def changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The modules that were edited, are new or are gone, one phrase each."""
    names = sorted(before.keys() | now.keys())
    kinds = {
        name: "new" if name not in before else "gone" if name not in now else "edited"
        for name in names
        if before.get(name) != now.get(name)
    }
    return [f"{name} ({kind})" for name, kind in kinds.items()]


def git(folder: Path) -> dict[str, Any]:
    """The commit that a folder is at, and whether its tracked files were edited since.

    Both are None where git or a repository is missing.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit.strip() if commit else None,
        "dirty": None if commit is None or status is None else bool(status.strip()),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _file(name: str) -> Path | None:
    """The source file of a module that is not an installed package's; a notebook has none."""
    if name == "__main__":
        script = vars(sys.modules[name]).get("__file__")
        return None if script is None else Path(script)
    if not _is_own(name.partition(".")[0]):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # `from package import function`, or a module made by hand
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


@functools.cache
def _is_own(package: str) -> bool:
    """Whether a top-level package is this project's or the user's, and not an installed one."""
    if package == "nets":
        return True
    if package in sys.stdlib_module_names or (spec := importlib.util.find_spec(package)) is None:
        return False
    origins = [spec.origin, *(spec.submodule_search_locations or ())]
    paths = [Path(origin) for origin in origins if origin is not None]
    return not any(map(is_installed, paths))


def is_installed(path: Path) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    return any(path.is_relative_to(folder) for folder in _INSTALLED)


def _imports(path: Path, package: str) -> Iterator[str]:
    """The modules that a file of `package` imports, and the names that it imports from them."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
