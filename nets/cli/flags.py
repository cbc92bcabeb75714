"""Every scalar field of an experiment's dataclass tree as an absl flag, and back.

A flag takes its name from the field's path (`model.features`), its type from the hint, its default
from the object and its help from the `Attributes:` section of the owner's docstring.
"""

import dataclasses
import functools
import itertools
import re
import typing
from collections.abc import Callable, Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp
from absl import flags
from jax.typing import DTypeLike

from nets.cli.config import Field, choices, is_union, leaves, members, replace, to_json, to_text
from nets.errors import UserError
from nets.types import Activation, Epochs, Steps


def choose(tree: Any, arguments: list[str]) -> Any:
    """Puts the modules and dataclasses that `arguments` name (`--model.cell=gru`) into the tree.

    The new one keeps the fields that it shares with the one it replaces.

    Raises:
        UserError: there is no choice of that name, or it needs a field that is not given.
    """
    texts = {}
    for argument, following in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        flag, equals, text = argument.lstrip("-").partition("=")
        texts[flag] = text if equals else following
    for leaf in list(leaves(tree)):
        options = choices(leaf.hint)
        if not options or leaf.path not in texts:
            continue
        name = texts[leaf.path].lower()
        if name not in options:
            raise UserError(f"must be one of {', '.join(options)}, got {name}.", leaf.path)
        if (cls := options[name]) is not type(leaf.value):
            tree = replace(tree, {leaf.path: _make(cls, leaf, texts, name)})
    return tree


def _make(cls: type, leaf: Field, texts: dict[str, str], name: str) -> Any:
    """An object of the class for the leaf: the fields of the present one, and those it needs."""
    if cls is type(None):
        return None
    fields, hints = cls.__dataclass_fields__, typing.get_type_hints(cls)
    present = () if leaf.value is None else members(leaf.value)
    arguments = {field: value for field, value in present if field in fields}
    for field, declared in fields.items():
        optional = any(
            default is not dataclasses.MISSING
            for default in (declared.default, declared.default_factory)
        )
        if field in arguments or optional or not declared.init:
            continue
        if (flag := f"{leaf.path}.{field}") not in texts:
            raise UserError(f"must be given: --{leaf.path}={name} needs it.", flag)
        try:
            arguments[field] = parser(hints[field])(texts[flag])
        except ValueError as error:
            raise UserError(f"cannot be read: {error}.", flag) from None
    try:
        return cls(**arguments)
    except UserError as error:
        raise error.inside(leaf.path) from None


def flagged(tree: Any) -> Iterator[Field]:
    """The leaves of which there is a flag: those whose type has a form on the command line."""
    return (leaf for leaf in leaves(tree) if choices(leaf.hint) or parser(leaf.hint))


def define(tree: Any, values: flags.FlagValues, module_name: str, skip: tuple[str, ...]) -> None:
    """Defines one flag a leaf, but for those whose path is in `skip` and those of no flag type."""
    for leaf in flagged(tree):
        if leaf.path in skip:
            continue
        parse = str if choices(leaf.hint) else parser(leaf.hint)
        is_bool = leaf.hint is bool  # absl then knows --name and --noname, and writes them itself
        flag = flags.Flag(
            _Parser(parse, leaf.hint),
            None if is_bool else _Serializer(),
            leaf.path,
            leaf.value,
            leaf.help,
            boolean=is_bool,
        )
        flags.DEFINE_flag(flag, values, module_name)


def changed(tree: Any, values: flags.FlagValues) -> dict[str, Any]:
    """The leaves whose flags have another value than the tree's, by path."""
    paths = {leaf.path: leaf.value for leaf in leaves(tree) if not choices(leaf.hint)}
    set_ = {p: values[p].value for p in paths if p in values and values[p].present}
    return {p: v for p, v in set_.items() if to_json(v) != to_json(paths[p])}


def parser(hint: Any) -> Callable[[str], Any] | None:
    """The function that reads a value of this type from text, or None where there is none.

    It raises ValueError with the valid form.
    """
    if hint in _TYPES:
        return _TYPES[hint][1]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return functools.partial(_literal, arguments)
    if is_union(hint) and type(None) in arguments and len(arguments) == 2:
        inner = parser(next(a for a in arguments if a is not type(None)))
        return inner and (lambda text: None if text.lower() == "none" else inner(text))
    if origin is tuple and len(set(arguments) - {Ellipsis}) == 1 and parser(arguments[0]):
        return functools.partial(_tuple, parser(arguments[0]), arguments)
    return None


class _Parser(flags.ArgumentParser):
    """An absl parser around `parser(hint)`."""

    def __init__(self, parse: Callable[[str], Any], hint: Any) -> None:
        self._parse, self._hint = parse, hint

    def parse(self, argument: Any) -> Any:
        return self._parse(argument) if isinstance(argument, str) else argument

    def flag_type(self) -> str:
        return type_name(self._hint)


class _Serializer(flags.ArgumentSerializer):
    """Shows a default as one would type it."""

    def serialize(self, value: Any) -> str:
        return to_text(value)


def _bool(text: str) -> bool:
    try:
        return flags.BooleanParser().parse(text)
    except ValueError:
        raise ValueError(f"'{text}' is not true or false") from None


def _number(kind: type, text: str) -> Any:
    try:
        number = kind(text)
    except ValueError:
        raise ValueError(f"'{text}' is not {'an integer' if kind is int else 'a number'}") from None
    if kind is float and not abs(number) <= float(jnp.finfo(jnp.float32).max):
        raise ValueError(f"'{text}' is not a finite number of float32")
    return number


def _steps(text: str) -> Steps:
    number = re.fullmatch(r"(.*\d\.?) ?epochs?", text)
    try:
        return Epochs(_number(float, number[1])) if number else _number(int, text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number of steps (500) or epochs (1.5epochs)") from None


def _dtype(text: str) -> Any:
    dtype = getattr(jnp, _literal(("float32", "bfloat16", "float16", "float64"), text))
    if jnp.result_type(dtype) != dtype:
        raise ValueError(f"'{text}' needs the environment variable JAX_ENABLE_X64=1")
    return dtype


def _activation(text: str) -> Activation:
    function = getattr(jax.nn, text, getattr(jnp, text, None))
    x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    try:
        y = jax.eval_shape(function, x)
        valid = (y.shape, y.dtype) == (x.shape, x.dtype) and not isinstance(function, type)
    except Exception:  # whatever a function of another purpose raises
        valid = False
    if not valid:
        raise ValueError(
            f"'{text}' is no function of jax.nn or jax.numpy that maps an array to one of its "
            "shape and type (relu, tanh, gelu, silu, ...)"
        )
    return function


def _literal(valid: tuple[Any, ...], text: str) -> Any:
    for value in valid:
        if str(value) == text:
            return value
    raise ValueError(f"'{text}' is not one of {', '.join(map(str, valid))}")


def _tuple(parse: Callable[[str], Any], arguments: tuple, text: str) -> tuple:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if "" in parts:
        raise ValueError(f"'{text}' has an empty value between its commas")
    items = tuple(map(parse, parts))
    if Ellipsis not in arguments and len(items) != len(arguments):
        raise ValueError(f"'{text}' has {len(items)} values; {len(arguments)} are needed")
    return items


def type_name(hint: Any) -> str:
    """The name of a flag's type in help."""
    if options := choices(hint):
        return "|".join(options)
    if hint in _TYPES:
        return _TYPES[hint][0]
    if typing.get_origin(hint) is tuple:
        return ",".join(map(type_name, typing.get_args(hint)))
    if typing.get_origin(hint) is Literal:
        return "|".join(map(str, typing.get_args(hint)))
    if hint is Ellipsis:
        return "..."
    if is_union(hint):
        return "|".join(map(type_name, typing.get_args(hint)))
    return "none" if hint is type(None) else hint.__name__


_TYPES: dict[Any, tuple[str, Callable[[str], Any]]] = {
    int: ("int", functools.partial(_number, int)),
    float: ("float", functools.partial(_number, float)),
    str: ("str", str),
    bool: ("bool", _bool),
    DTypeLike: ("dtype", _dtype),
    Activation: ("activation", _activation),
    Steps: ("steps|epochs", _steps),
}
"""Types of fields that are flags: the name in help, and the function that reads a value."""
