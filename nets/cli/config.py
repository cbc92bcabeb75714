"""An experiment as a tree of dataclasses and Linen modules: its fields by path, read and replaced.

`model.cell.features` is the field `features` of the cell of the model.
"""

import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from nets.errors import UserError
from nets.types import Epochs

_LINEN_OWN = ("name", "parent")  # fields that Linen adds to every module


class Field(NamedTuple):
    """One leaf of the dataclass tree."""

    path: str
    hint: Any
    value: Any
    help: str


def help_of(cls: type) -> dict[str, str]:
    """The entries of the `Attributes:` sections of a class and of those it derives from, by field.

    A field that a class says nothing of is explained where it was declared.
    """
    entries: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        entries |= _attributes(base.__doc__ or "")
    return entries


def _attributes(doc: str) -> dict[str, str]:
    section = inspect.cleandoc(doc).partition("Attributes:\n")[2]
    entries: dict[str, str] = {}
    name = None
    for line in section.splitlines():
        if not line.strip() or not line.startswith("    "):
            break
        if match := re.match(r"    (\w+): (.*)", line):
            name, entries[match[1]] = match[1], match[2]
        elif name:
            entries[name] += " " + line.strip()
    return entries


def leaves(tree: Any, path: str = "") -> Iterator[Field]:
    """The leaves of a tree of dataclasses and Linen modules, depth first."""
    hints, helps = typing.get_type_hints(type(tree)), help_of(type(tree))
    for name, value in members(tree):
        if choices(hints[name]) or not _is_node(value):
            yield Field(path + name, hints[name], value, helps.get(name, ""))
        if _is_node(value):
            yield from leaves(value, f"{path}{name}.")


def nodes(tree: Any) -> Iterator[Any]:
    """The dataclasses and Linen modules of the tree, itself included, depth first."""
    yield tree
    for _, value in members(tree):
        if _is_node(value):
            yield from nodes(value)


def replace(tree: Any, changes: dict[str, Any]) -> Any:
    """`tree` with the leaves at the dotted paths replaced.

    Raises:
        UserError: a value is impossible; names the field by its path.
    """
    here, below = {}, {}
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        if rest:
            below.setdefault(head, {})[rest] = value
        else:
            here[head] = value
    for head, nested in below.items():
        try:
            here[head] = replace(here.get(head, getattr(tree, head)), nested)
        except UserError as error:
            raise error.inside(head) from None
    return tree.clone(**here) if isinstance(tree, nn.Module) else dataclasses.replace(tree, **here)


def to_dict(tree: Any) -> dict[str, Any]:
    """The tree as flat JSON: each leaf by its path, each node's class under the node's path."""
    flat = {}
    for name, value in members(tree):
        if _is_node(value):
            flat[name] = _class_name(type(value))
            flat |= {f"{name}.{path}": leaf for path, leaf in to_dict(value).items()}
        else:
            flat[name] = to_json(value)
    return flat


def to_json(value: Any) -> Any:
    """A leaf's value as JSON can hold it; dtypes and functions by name."""
    if isinstance(value, Epochs):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    if isinstance(value, dict):
        return {str(k): to_json(v) for k, v in value.items()}
    if _is_node(value):
        return {"class": _class_name(type(value))} | to_dict(value)
    if isinstance(value, functools.partial):
        return [to_json(value.func), to_json(value.args), to_json(value.keywords)]
    try:
        return jnp.dtype(value).name
    except TypeError:
        return getattr(value, "__name__", None) or _class_name(type(value))


def to_text(value: Any) -> str:
    """A leaf's value as one types it on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(to_text, value))
    if _is_node(value):
        return type(value).__name__.lower()
    plain = to_json(value)
    return str(plain).lower() if plain is None or isinstance(plain, bool) else str(plain)


def choices(hint: Any) -> dict[str, type]:
    """The modules or dataclasses that a union hint allows, by lower-case class name; None is one of
    them by the name none, where the hint has it."""
    members = typing.get_args(hint) if is_union(hint) else ()
    nodes = {m.__name__.lower(): m for m in members if dataclasses.is_dataclass(m)}
    return ({"none": type(None)} if nodes and type(None) in members else {}) | nodes


def members(tree: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a node by name, but for those that Linen adds."""
    for field in dataclasses.fields(tree):
        if field.init and not (isinstance(tree, nn.Module) and field.name in _LINEN_OWN):
            yield field.name, getattr(tree, field.name)


def is_union(hint: Any) -> bool:
    """Whether a type hint is a union of others."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _is_node(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
