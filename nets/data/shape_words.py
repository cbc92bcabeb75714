"""The words of questions about generated scenes, as terms whose names can be exchanged."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from nets.data import scenes

SIZE, COLOUR, SHAPE = 0, 1, 2  # the columns of objects
NAMES = (tuple(scenes.SIZES), tuple(scenes.COLOURS), scenes.SHAPES)
ATTRIBUTES = ("size", "colour", "shape")

Kind = tuple[int, ...]
"""Size, colour and shape of an object."""
KINDS: tuple[Kind, ...] = tuple(itertools.product(*(range(len(names)) for names in NAMES)))


class Value(NamedTuple):
    """A word for a value of an attribute."""

    attribute: int
    value: int
    plural: bool = False


class Side(NamedTuple):
    """The words for a relation, by its index in RELATIONS."""

    relation: int


class Order(NamedTuple):
    """larger (1) or smaller (0)."""

    larger: int


Word = str | Value | Side | Order


def text(words: Sequence[Word]) -> list[str]:
    """The words of a question or an answer as they are written."""
    written = []
    for word in words:
        match word:
            case Value(which, value, plural):
                name = NAMES[which][value]
                written.append(_plural(name) if plural else name)
            case Side(side):
                written += scenes.RELATIONS[side].split()
            case Order(larger):
                written.append(("smaller", "larger")[larger])
            case _:
                written.append(word)
    return written


def _plural(name: str) -> str:
    return f"{name}{'es' if name == 'cross' else 's'}"


_FORMS = (
    "is there a how many are what the than same as has larger smaller above below left right of"
)
VOCABULARY = (
    "",
    *_FORMS.split(),
    *ATTRIBUTES,
    *("object", "objects"),
    *sum(NAMES, ()),
    *map(_plural, scenes.SHAPES),
)
