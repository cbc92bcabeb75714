"""A grammar of questions about two objects: a question first, then its answer, then objects.

An answer is drawn after all words of its question, evenly from those that this question may have,
and the objects last, so that they are as the answer says. So the words tell nothing of the answer.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nets.data import scenes

SIZE, COLOUR, SHAPE = 0, 1, 2  # the columns of objects
NAMES = (tuple(scenes.SIZES), tuple(scenes.COLOURS), scenes.SHAPES)
ATTRIBUTES = ("size", "colour", "shape")
KINDS = np.array(list(itertools.product(*(range(len(names)) for names in NAMES))))
"""All objects [60, 3] that there are."""


class Question(NamedTuple):
    """A question, its answer, and the objects that it is asked about.

    Attributes:
        words: of the question.
        answer: a word or a number.
        objects: [2, 3], size, colour and shape of each.
        relation: of the first object to the second, by its index in RELATIONS; -1 leaves it open.
        described: [2], whether the question describes an object.
    """

    words: list[str]
    answer: str
    objects: np.ndarray
    relation: int
    described: tuple[bool, bool]


class Description(NamedTuple):
    """Values of some of the attributes.

    Attributes:
        values: size, colour and shape [3].
        given: [3], which of these are said.
    """

    values: np.ndarray
    given: np.ndarray

    def words(self, plural: bool = False) -> list[str]:
        """The words, without an article: "small red circle", "large object"."""
        said = [names[v] for names, v, g in zip(NAMES, self.values, self.given, strict=True) if g]
        said += [] if self.given[SHAPE] else ["object"]
        ending = "" if not plural else "es" if said[-1] == "cross" else "s"
        return [*said[:-1], said[-1] + ending]

    def fits(self, objects: np.ndarray = KINDS) -> np.ndarray:
        """Which of objects [..., 3] it describes."""
        return ((objects == self.values) | ~self.given).all(-1)


def existence(rng: np.random.Generator) -> Question:
    """Is there a ...? Where there is none, one object is as described but for one attribute."""
    asked = _description(rng)
    words = ["is", "there", "a", *asked.words()]
    if _even(rng, 2):
        first = _any(rng, asked.fits())
        objects = _both(first, _any(rng, (first != KINDS).any(-1)))
        return Question(words, "yes", objects, -1, _described(asked, objects))
    near = _any(rng, asked.fits()).copy()
    changed = rng.choice(np.flatnonzero(asked.given))
    near[changed] = _other(rng, near[changed], len(NAMES[changed]))
    objects = _both(near, _any(rng, ~asked.fits() & (near != KINDS).any(-1)))
    return Question(words, "no", objects, -1, (False, False))


def count(rng: np.random.Generator) -> Question:
    """How many ... are there? None, one or both of the objects."""
    asked = _description(rng, most=2)
    words, number = ["how", "many", *asked.words(plural=True), "are", "there"], _even(rng, 3)
    first = _any(rng, asked.fits() if number else ~asked.fits())
    fits = asked.fits() if number == 2 else ~asked.fits()
    objects = _both(first, _any(rng, fits & (first != KINDS).any(-1)))
    return Question(words, str(number), objects, -1, _described(asked, objects))


def attribute(rng: np.random.Generator, which: int) -> Question:
    """What colour (shape, size) is the ...? Just one object is described."""
    asked = _description(rng, leave=which)
    words = ["what", ATTRIBUTES[which], "is", "the", *asked.words()]
    value = _even(rng, len(NAMES[which]))
    first = _any(rng, asked.fits() & (KINDS[:, which] == value))
    objects = _both(first, _any(rng, ~asked.fits()))
    return Question(words, NAMES[which][value], objects, -1, (True, False))


def relation(rng: np.random.Generator) -> Question:
    """Is the ... above (below, left of, right of) the ...?"""
    one, two = _pair(rng)
    asked, right = _even(rng, 4), bool(_even(rng, 2))
    holds = asked if right else _other(rng, asked, 4)
    words = ["is", "the", *one.words(), *scenes.RELATIONS[asked].split(), "the", *two.words()]
    objects = _both(one.values, two.values)
    return Question(words, "yes" if right else "no", objects, holds, (True, True))


def comparison(rng: np.random.Generator) -> Question:
    """Is the ... larger (smaller) than the ...? Has the ... the same colour (...) as the ...?"""
    form = _even(rng, 5)
    which = SIZE if form > 2 else form
    one, two = _pair(rng, leave=which)
    right = bool(_even(rng, 2))
    first = _even(rng, len(NAMES[which]))
    if form > 2:  # small is 0
        words = ["is", "the", *one.words(), ("larger", "smaller")[form - 3], "than", "the"]
        first = int(right == (form == 3))
        second = 1 - first
    else:
        words = ["has", "the", *one.words(), "the", "same", ATTRIBUTES[which], "as", "the"]
        second = first if right else _other(rng, first, len(NAMES[which]))
    objects = _both(one.values, two.values)
    objects[:, which] = first, second
    words = [*words, *two.words()]
    return Question(words, "yes" if right else "no", objects, -1, (True, True))


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

_PLURALS = tuple(f"{name}{'es' if name == 'cross' else 's'}" for name in (*scenes.SHAPES, "object"))
_FORMS = (
    "is there a how many are what the than same as has larger smaller above below left right of"
)
VOCABULARY = ("", *_FORMS.split(), *ATTRIBUTES, "object", *sum(NAMES, ()), *_PLURALS)


def draw(rng: np.random.Generator) -> tuple[str, Question]:
    """A question and its type, all types being as frequent."""
    name = tuple(TYPES)[_even(rng, len(TYPES))]
    return name, TYPES[name](rng)


def _even(rng: np.random.Generator, n: int) -> int:
    return int(rng.random() * n)


def _other(rng: np.random.Generator, value: int, n: int) -> int:
    """Another of n values."""
    return (value + 1 + _even(rng, n - 1)) % n


def _any(rng: np.random.Generator, fits: np.ndarray) -> np.ndarray:
    """One of the kinds that fit."""
    choice = np.flatnonzero(fits)
    return KINDS[choice[_even(rng, len(choice))]]


def _given(rng: np.random.Generator, most: int, leave: int | None) -> np.ndarray:
    """Which attributes are said: one at least, `most` at most, and not that to leave out."""
    fit = [g for g in itertools.product((False, True), repeat=3) if 0 < sum(g) <= most]
    fit = [g for g in fit if leave is None or not g[leave]]
    return np.array(fit[_even(rng, len(fit))])


def _description(rng: np.random.Generator, most: int = 3, leave: int | None = None) -> Description:
    given = _given(rng, most, leave)
    return Description(KINDS[_even(rng, len(KINDS))], given)


def _pair(rng: np.random.Generator, leave: int | None = None) -> tuple[Description, Description]:
    """Descriptions of the same attributes, each of an object that the other does not describe."""
    one = _description(rng, leave=leave)
    return one, Description(_any(rng, ~one.fits()), one.given)


def _both(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.stack([first, second])


def _described(asked: Description, objects: np.ndarray) -> tuple[bool, bool]:
    first, second = asked.fits(objects).tolist()
    return first, second
