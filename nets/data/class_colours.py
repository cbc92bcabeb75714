"""Classes and their colours: a default that colour-blind readers tell apart, and tables of files.

A table is a file of the classes in the order of their ids, in one of three forms:

    128 64 128 road                     lines of R, G, B and a name, or a name and R, G, B
    name,r,g,b                          the same with commas (CSV); a line of titles is left out
    {"road": [128, 64, 128], ...}       JSON
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

from nets.errors import UserError

Colour = tuple[int, int, int]  # red, green and blue, 0 to 255

_DEFAULT = (
    "0072B2 E69F00 009E73 D55E00 CC79A7 56B4E9 F0E442 000088 663311 AAFF99 0000FF 0077FF 442255 "
    "445555 BBAA55 AADDAA 110055 66DDEE 2244AA 7799FF 5511CC"
)
# The first seven are those of Okabe and Ito 2008 but black, which is for void. Each of the others
# is far from all before it, and from black and white, in CIELAB: to normal sight and to that
# without red or green cones, as Machado et al. 2009 simulate them.


class ClassTable(NamedTuple):
    """The classes of a file.

    Attributes:
        names: by id.
        colours: by id.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]


def default(count: int) -> tuple[Colour, ...]:
    """Colours of that many classes; from the 22nd on they come again."""
    colours = [tuple(bytes.fromhex(text)) for text in _DEFAULT.split()]
    return tuple(colours[k % len(colours)] for k in range(count))


def read(path: str) -> ClassTable:
    """The table of a file.

    Raises:
        UserError: it cannot be read, has another form, or the same name or colour twice.
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"={path} cannot be read: {error}.", "class_table") from None
    rows = _json(file, text) if text.lstrip()[:1] == "{" else _lines(file, text)
    if not rows:
        raise UserError(f"={path} has no classes.", "class_table")
    names, colours = zip(*rows, strict=True)
    for what, values in (("name", names), ("colour", colours)):
        if twice := [value for value in values if values.count(value) > 1]:
            raise UserError(f"={path} has the {what} {twice[0]} twice.", "class_table")
    for name, colour in rows:
        if max(colour) > 255:
            raise UserError(f"={path}: {name} has {colour}; 0 to 255 are valid.", "class_table")
    return ClassTable(names, colours)


def _json(file: Path, text: str) -> list[tuple[str, Colour]]:
    try:
        rows = [(name, tuple(map(int, colour))) for name, colour in json.loads(text).items()]
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise UserError(f"{file} is no JSON of names and [R, G, B]: {error}.") from None
    if wrong := [name for name, colour in rows if len(colour) != 3 or min(colour) < 0]:
        raise UserError(f"{file} has no colour [R, G, B] of {wrong[0]}.")
    return rows


def _lines(file: Path, text: str) -> list[tuple[str, Colour]]:
    number = r"(\d+)[\s,;]+(\d+)[\s,;]+(\d+)"
    rows = []
    lines = [line.strip() for line in text.splitlines()]
    for i, line in enumerate(line for line in lines if line and not line.startswith("#")):
        first = re.fullmatch(rf"{number}[\s,;]+(.+)", line)
        last = re.fullmatch(rf"(.+?)[\s,;]+{number}", line)
        if first:
            rows.append((first[4].strip('"'), tuple(map(int, first.groups()[:3]))))
        elif last:
            rows.append((last[1].strip('"'), tuple(map(int, last.groups()[1:]))))
        elif i > 0:  # the first may be titles
            raise UserError(
                f"{file} has the line {line!r}; a name and R, G, B from 0 to 255 are valid."
            )
    return rows
