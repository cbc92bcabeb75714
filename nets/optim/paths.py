"""The leaves of a tree by their paths (`encoder/dense/kernel`), and which of them are meant."""

import difflib
import fnmatch
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import jax

from nets.errors import UserError


def flatten(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by key path (`params/conv/kernel`)."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def kernels(params: Any) -> Any:
    """A tree of booleans: which leaves are kernels, by name."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: str(getattr(path[-1], "key", path[-1])).endswith("kernel"), params
    )


def matching(params: Any, patterns: Iterable[str], field: str) -> Any:
    """A tree of booleans: which parameters have a path that one of the patterns matches.

    Raises:
        UserError: a pattern matches nothing; names the field and the nearest paths.
    """
    paths = list(flatten(params))
    for pattern in patterns:
        if not any(matches(path, [pattern]) for path in paths):
            near = nearest(pattern, paths)
            raise UserError(f"has {pattern}, which matches no parameter; near are {near}.", field)
    chosen = [matches(path, patterns) for path in paths]
    return jax.tree.unflatten(jax.tree.structure(params), chosen)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches a path.

    Patterns are those of `fnmatch`: * stands for any characters, / among them, ? for any one, [ab]
    for a or b; so encoder/* are all parameters of the module `encoder`.
    """
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def nearest(pattern: str, paths: Iterable[str]) -> str:
    """The paths, and the patterns of the modules on their way, that are most like a pattern."""
    paths = sorted(paths)
    modules = {f"{folder}/*" for path in paths for folder in PurePosixPath(path).parents} - {"./*"}
    return ", ".join(difflib.get_close_matches(pattern, [*paths, *sorted(modules)], 3, 0))
