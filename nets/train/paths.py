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

    Patterns are those of `fnmatch`: * stands for any characters, / among them, ? for any one, [ab]
    for a or b; so encoder/* are all parameters of the module `encoder`.

    Raises:
        UserError: a pattern matches nothing; names the field and the nearest paths.
    """
    paths = list(flatten(params))
    for pattern in patterns:
        if not fnmatch.filter(paths, pattern):
            modules = {f"{folder}/*" for path in paths for folder in PurePosixPath(path).parents}
            near = difflib.get_close_matches(pattern, [*paths, *sorted(modules - {"./*"})], 3, 0)
            raise UserError(
                f"has {pattern}, which matches no parameter; near are {', '.join(near)}.", field
            )
    chosen = [any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns) for path in paths]
    return jax.tree.unflatten(jax.tree.structure(params), chosen)
