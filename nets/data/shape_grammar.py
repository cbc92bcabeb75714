"""A grammar of questions about two objects: a question first, then its answer, then objects.

An answer is drawn after all words of its question, evenly from those that this question may have,
and the objects last, so that they are as the answer says. So the words tell nothing of the answer.
The grammar prefers no value of an attribute and no side, and so a question about any objects is one
about others once names and sides are exchanged: `about` asks on.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nets.data.shape_words import (
    ATTRIBUTES,
    COLOUR,
    KINDS,
    NAMES,
    SHAPE,
    SIZE,
    Kind,
    Order,
    Side,
    Value,
    Word,
)


class Question(NamedTuple):
    """A question, its answer, and the objects that it is asked about.

    Attributes:
        words: of the question.
        answer: the right one.
        objects: the two.
        relation: of the first object to the second, by its index in RELATIONS.
        described: for each object which description of the question fits it: 1 the first, 2 the
            second, 0 none.
    """

    words: tuple[Word, ...]
    answer: Word
    objects: tuple[Kind, Kind]
    relation: int
    described: tuple[int, int]


class Description(NamedTuple):
    """Values of some of the attributes.

    Attributes:
        values: size, colour and shape.
        given: which of these are said.
    """

    values: Kind
    given: tuple[bool, ...]

    def words(self, plural: bool = False) -> list[Word]:
        """The words, without an article: "small red circle", "large object"."""
        said: list[Word] = [Value(i, self.values[i]) for i in (SIZE, COLOUR) if self.given[i]]
        if self.given[SHAPE]:
            return [*said, Value(SHAPE, self.values[SHAPE], plural)]
        return [*said, "objects" if plural else "object"]

    def fits(self, kind: Kind) -> bool:
        """Whether it describes an object."""
        return kind in _split(self)[0]

    def any(self, rng: np.random.Generator, fits: bool, but: Kind | None = None) -> Kind:
        """An object that it describes, or does not, other than `but`."""
        choice = _split(self)[0 if fits else 1]
        while (kind := choice[_even(rng, len(choice))]) == but:
            pass
        return kind


@functools.cache
def _split(description: Description) -> tuple[tuple[Kind, ...], tuple[Kind, ...]]:
    """The kinds that it describes, and the others."""
    said = [i for i, given in enumerate(description.given) if given]
    fit = [all(kind[i] == description.values[i] for i in said) for kind in KINDS]
    return tuple(itertools.compress(KINDS, fit)), tuple(
        kind for kind, fits in zip(KINDS, fit, strict=True) if not fits
    )


def existence(rng: np.random.Generator) -> Question:
    """Is there a ...? Where there is none, one object is as described but for one attribute."""
    asked = _description(rng)
    words = ("is", "there", "a", *asked.words())
    if _even(rng, 2):
        first = asked.any(rng, True)
        second = _others(first)[_even(rng, len(KINDS) - 1)]
        return _question(rng, words, "yes", (first, second), (1, int(asked.fits(second))))
    near = list(asked.any(rng, True))
    said = [i for i, given in enumerate(asked.given) if given]
    changed = said[_even(rng, len(said))]
    near[changed] = _other(rng, near[changed], len(NAMES[changed]))
    first = tuple(near)
    return _question(rng, words, "no", (first, asked.any(rng, False, first)), (0, 0))


def count(rng: np.random.Generator) -> Question:
    """How many ... are there? None, one or both of the objects."""
    asked = _description(rng, most=2)
    words, number = ("how", "many", *asked.words(plural=True), "are", "there"), _even(rng, 3)
    first = asked.any(rng, number > 0)
    objects = first, asked.any(rng, number == 2, first)
    return _question(rng, words, str(number), objects, (int(number > 0), int(number == 2)))


def attribute(rng: np.random.Generator, which: int) -> Question:
    """Questions for the colour, shape or size of the one object that is described."""
    asked = _description(rng, leave=which)
    words = ("what", ATTRIBUTES[which], "is", "the", *asked.words())
    value = _even(rng, len(NAMES[which]))
    first = list(asked.any(rng, True))
    first[which] = value  # which is not among what is said
    objects = tuple(first), asked.any(rng, False)
    return _question(rng, words, Value(which, value), objects, (1, 0))


def relation(rng: np.random.Generator) -> Question:
    """Is the ... above (below, left of, right of) the ...?"""
    one, two = _pair(rng)
    asked, right = _even(rng, 4), bool(_even(rng, 2))
    holds = asked if right else _other(rng, asked, 4)
    words = ("is", "the", *one.words(), Side(asked), "the", *two.words())
    answer = "yes" if right else "no"
    return Question(words, answer, (one.values, two.values), holds, (1, 2))


def comparison(rng: np.random.Generator) -> Question:
    """Is the ... larger (smaller) than the ...? Has the ... the same colour (...) as the ...?"""
    form = _even(rng, 5)
    which = SIZE if form > 2 else form
    one, two = _pair(rng, leave=which)
    right = bool(_even(rng, 2))
    if form > 2:  # small is 0
        larger = form - 3
        between: list[Word] = [Order(larger), "than"]
        first = int(right == bool(larger))
        second = 1 - first
    else:
        between = ["the", "same", ATTRIBUTES[which], "as"]
        first = _even(rng, len(NAMES[which]))
        second = first if right else _other(rng, first, len(NAMES[which]))
    begin = "is" if form > 2 else "has"
    words = (begin, "the", *one.words(), *between, "the", *two.words())
    objects = tuple(
        (*kind[:which], value, *kind[which + 1 :])
        for kind, value in ((one.values, first), (two.values, second))
    )
    return _question(rng, words, "yes" if right else "no", objects, (1, 2))


TYPES: dict[str, Callable[[np.random.Generator], Question]] = {
    "existence": existence,
    "count": count,
    "colour": lambda rng: attribute(rng, COLOUR),
    "shape": lambda rng: attribute(rng, SHAPE),
    "size": lambda rng: attribute(rng, SIZE),
    "relation": relation,
    "comparison": comparison,
}
"""The types of questions, each with what draws one."""

_YES_NO = ("yes", "no")
ANSWERS: dict[str, tuple[str, ...]] = {
    "existence": _YES_NO,
    "count": ("0", "1", "2"),
    "colour": NAMES[COLOUR],
    "shape": NAMES[SHAPE],
    "size": NAMES[SIZE],
    "relation": _YES_NO,
    "comparison": _YES_NO,
}
"""The answers of each type, as frequent as each other after any question."""


def draw(rng: np.random.Generator) -> tuple[str, Question]:
    """A question and its type, all types being as frequent; either object may be the first."""
    name = tuple(TYPES)[_even(rng, len(TYPES))]
    question = TYPES[name](rng)
    if _even(rng, 2):
        return name, question
    (one, two), (is_one, is_two) = question.objects, question.described
    opposite = question.relation ^ 1
    return name, question._replace(
        objects=(two, one), described=(is_two, is_one), relation=opposite
    )


def about(
    rng: np.random.Generator, objects: tuple[Kind, Kind], relation: int
) -> tuple[str, Question]:
    """A question about given objects, as `draw` would ask it about these.

    It draws until a question is about objects that are alike in the same attributes, and exchanges
    the names of values, and of sides, for those of the objects.
    """
    alike = [a == b for a, b in zip(*objects, strict=True)]
    while True:
        name, question = draw(rng)
        if [a == b for a, b in zip(*question.objects, strict=True)] == alike:
            return name, _renamed(question, objects, relation)


def _renamed(question: Question, objects: tuple[Kind, Kind], relation: int) -> Question:
    """The question with values and sides exchanged, so that it is about these objects."""
    exchange = [
        _bijection(old, new, len(names))
        for old, new, names in zip(
            zip(*question.objects, strict=True), zip(*objects, strict=True), NAMES, strict=True
        )
    ]
    sides = _turned(question.relation, relation)

    def renamed(word: Word) -> Word:
        match word:
            case Value(which, value, plural):
                return Value(which, exchange[which][value], plural)
            case Side(side):
                return Side(sides[side])
            case Order(larger):
                return Order(larger ^ exchange[SIZE][0])
        return word

    words = tuple(map(renamed, question.words))
    return question._replace(
        words=words, answer=renamed(question.answer), objects=objects, relation=relation
    )


@functools.cache
def _bijection(old: tuple[int, int], new: tuple[int, int], n: int) -> dict[int, int]:
    """A one-to-one map of n values that takes the old to the new."""
    known = dict(zip(old, new, strict=True))
    rest = [k for k in range(n) if k not in new]
    return known | dict(zip([k for k in range(n) if k not in old], rest, strict=True))


@functools.cache
def _turned(old: int, new: int) -> dict[int, int]:
    """A map of the four relations that takes the old to the new, and opposites to opposites."""
    if old // 2 == new // 2:
        return {k: k ^ (old != new and k // 2 == old // 2) for k in range(4)}
    return {old: new, old ^ 1: new ^ 1, new: old, new ^ 1: old ^ 1}


def _question(rng, words, answer, objects, described) -> Question:
    """One that leaves the relation open, which is then any."""
    return Question(words, answer, objects, _even(rng, 4), described)


def _even(rng: np.random.Generator, n: int) -> int:
    return int(rng.random() * n)


def _other(rng: np.random.Generator, value: int, n: int) -> int:
    """Another of n values."""
    return (value + 1 + _even(rng, n - 1)) % n


@functools.cache
def _others(kind: Kind) -> tuple[Kind, ...]:
    return tuple(other for other in KINDS if other != kind)


@functools.cache
def _givens(most: int, leave: int | None) -> list[tuple[bool, ...]]:
    """Which attributes may be said: one at least, `most` at most, and not that to leave out."""
    choice = itertools.product((False, True), repeat=3)
    return [g for g in choice if 0 < sum(g) <= most and (leave is None or not g[leave])]


def _description(rng: np.random.Generator, most: int = 3, leave: int | None = None) -> Description:
    givens = _givens(most, leave)
    return Description(KINDS[_even(rng, len(KINDS))], givens[_even(rng, len(givens))])


def _pair(rng: np.random.Generator, leave: int | None = None) -> tuple[Description, Description]:
    """Descriptions of the same attributes, each of an object that the other does not describe."""
    one = _description(rng, leave=leave)
    return one, Description(one.any(rng, False), one.given)
