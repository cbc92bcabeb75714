"""Weights by name: as arrays, as trees, and a table of the names and shapes that differ."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Shapes = dict[str, tuple[int | None, ...]]  # None: any size


def check_mapping(call: str, name: str, value: Any) -> None:
    """Refuses an argument of this call that is not a mapping.

    Raises:
        TypeError: it is not a mapping.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{call}: {name} must be a mapping, got {kind(value)}")


def check_state_dict(call: str, state_dict: Any) -> None:
    """Refuses an argument of this call that does not map names to tensors or arrays.

    Raises:
        TypeError: it is not a mapping, or maps names to mappings, as Flax's variables do.
    """
    check_mapping(call, "state_dict", state_dict)
    for name, value in state_dict.items():
        if isinstance(value, Mapping):
            raise TypeError(
                f"{call}: state_dict must map names to tensors or arrays, but {name!r} is a mapping"
            )


def check_variables(call: str, variables: Any, name: str = "variables") -> None:
    """Refuses an argument of this call that is not the variables of a Flax module.

    Raises:
        TypeError: it is not a mapping, or has no collection "params".
    """
    check_mapping(call, name, variables)
    if "params" not in variables:
        names = ", ".join(map(str, list(variables)[:3])) or "nothing"
        raise TypeError(
            f'{call}: {name} must have a collection "params", as returned by init, got {names}'
        )


def kind(value: Any) -> str:
    """The type of an argument, for a message."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"an object of type {type(value).__name__}"


def check(heading: str, expected: Shapes, arrays: Arrays) -> None:
    """Raises ValueError with a table of the names whose shapes are not as expected."""
    table = [("name", "expected", "found")]
    for name in {**expected, **arrays}:
        want, got = expected.get(name), arrays[name].shape if name in arrays else None
        if want is None or got is None or not _fits(want, got):
            table.append((name, _text(want), _text(got)))
    if len(table) > 1:
        long, middle = (max(len(row[i]) for row in table) for i in (0, 1))
        lines = [f"{name:{long}}  {want:{middle}}  {got}" for name, want, got in table]
        raise ValueError("\n".join([heading, *lines]))


def _fits(want: tuple[int | None, ...], got: tuple[int, ...]) -> bool:
    return len(want) == len(got) and all(w in (None, g) for w, g in zip(want, got, strict=True))


def _text(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "nothing"
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def flat(tree: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a tree by path, such as "layer_0/kernel"."""
    if not isinstance(tree, Mapping):
        return {name: tree}
    leaves = {}
    for key, part in tree.items():
        leaves |= flat(part, f"{name}/{key}" if name else key)
    return leaves


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flat`."""
    tree: dict[str, Any] = {}
    for name, leaf in leaves.items():
        *path, last = name.split("/")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = leaf
    return tree


def array(a: Any) -> np.ndarray:
    """A tensor or an array as a NumPy array of the same dtype."""
    try:
        a = a.detach().cpu()
    except AttributeError:  # no tensor
        return np.asarray(a)
    try:
        return a.numpy()
    except TypeError:  # NumPy has dtypes such as bfloat16 from ml_dtypes only
        return a.float().numpy().astype(str(a.dtype).removeprefix("torch."))
