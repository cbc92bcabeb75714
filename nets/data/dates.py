"""Dates in many written forms, to be written in one: generated, to see attention at work."""

import dataclasses
import datetime
import functools
import string
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from nets.data.numerals import in_words, ordinal
from nets.data.synthetic import Batch, Generated, held_out, vocabularies
from nets.data.tokenizers import Characters, pad
from nets.errors import UserError, check_choice

_FIRST, _LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)  # two figures tell the year
DATES = (_LAST - _FIRST).days + 1
_MONTHS = (
    "january february march april may june july august september october november december"
).split()
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_IN_ORDER = (  # year, month, day
    "{YYYY}-{MM}-{DD}",
    "{YYYY}/{MM}/{DD}",
    "{YYYY} {month} {D}",
    "{YYYY}, {month} {Dth}",
    "{YYYY} {mon} {DD}",
    "'{YY} {mon} {D}",
    "'{YY}, {month} the {day}",
    "{year}, {month} {Dth}",
    "{year}, {month} the {day}",
    "the year {year}, {month} {D}",
)
_OTHERS = (
    "{D} {month} {YYYY}",
    "{Dth} of {month} {YYYY}",
    "{D} {mon} '{YY}",
    "{month} {D}, {YYYY}",
    "{mon} {DD}, {YYYY}",
    "{DD}.{MM}.{YYYY}",  # the day first
    "{MM}/{DD}/{YYYY}",  # the month first
    "{weekday}, {D} {month} {YYYY}",
    "{weekday} the {day} of {month}, {year}",
    "the {day} of {month}, {year}",
)
FORMS = {"year_first": _IN_ORDER, "any": _IN_ORDER + _OTHERS}
_parts = string.Formatter().parse
_SOURCE = Characters(("", *" ',-./", *string.digits, *string.ascii_lowercase))
_TARGET = Characters(("", "-", *string.digits))
_WIDTH = len("yyyy-mm-dd")


def _year_in_words(date: datetime.date) -> str:
    if 2000 <= date.year < 2010:
        return in_words(date.year)
    return " ".join(map(in_words, divmod(date.year, 100)))


def _numbered(date: datetime.date) -> str:
    suffix = "th" if date.day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10)
    return f"{date.day}{suffix or 'th'}"


# what a form says -> which part of a date it is, and how it is written
_PARTS: dict[str, tuple[str | None, Callable[[datetime.date], str]]] = {
    "YYYY": ("year", lambda date: str(date.year)),
    "YY": ("year", lambda date: f"{date.year % 100:02}"),
    "year": ("year", _year_in_words),
    "MM": ("month", lambda date: f"{date.month:02}"),
    "month": ("month", lambda date: _MONTHS[date.month - 1]),
    "mon": ("month", lambda date: _MONTHS[date.month - 1][:3]),
    "DD": ("day", lambda date: f"{date.day:02}"),
    "D": ("day", lambda date: str(date.day)),
    "Dth": ("day", _numbered),
    "day": ("day", lambda date: ordinal(date.day)),
    "weekday": (None, lambda date: _WEEKDAYS[date.weekday()]),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dates(Generated):
    """Dates as people write them, synthetic, to be written by ISO 8601, character by character.

    "the third of may, nineteen seventy-nine", "'79 may 3" and "05/03/1979" are 1979-05-03. Dates
    are those of 1950 to 2049; the forms are the same in every split, and no date of an evaluation
    is ever in training. A batch holds

        inputs  [B, S] int32, the characters of the written form, then 0
        lengths [B] int32, characters of it
        targets [B, 11] int32, those of the ISO form, then 0
        spans   [B, 11, 2] int32, where the inputs say what a target character tells: the first
                and one past the last position of the year, the month or the day; (0, 0) for - and 0

    and in an evaluation "mask" [B] float32. Of the targets 0 is the symbol before the first, and
    the one that ends them.

    Attributes:
        forms: "year_first" are the forms that tell year, month and day in this order, so that
            spans never go back; "any" has others too.
    """

    forms: Literal["year_first", "any"] = "year_first"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "forms", tuple(FORMS))
        if 2 * self.eval_size >= DATES:
            raise UserError(
                f"must be at most {(DATES - 1) // 2} of {DATES} dates, got {self.eval_size}.",
                "eval_size",
            )

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        days = held_out(DATES, self.eval_size, rng, rows, split).tolist()
        dates = [_FIRST + datetime.timedelta(day) for day in days]
        chosen = rng.integers(0, len(FORMS[self.forms]), rows)
        texts = [written(d, FORMS[self.forms][k]) for d, k in zip(dates, chosen, strict=True)]
        spans = np.zeros((rows, _WIDTH + 1, 2), np.int32)
        for row, (_, where) in zip(spans, texts, strict=True):
            row[:4], row[5:7], row[8:10] = where["year"], where["month"], where["day"]
        return {
            "inputs": pad([_SOURCE.encode(text) for text, _ in texts], _longest(self.forms)),
            "lengths": np.array([len(text) for text, _ in texts], np.int32),
            "targets": pad([_TARGET.encode(date.isoformat()) for date in dates], _WIDTH + 1),
            "spans": spans,
        }

    def extra_metadata(self) -> dict[str, Any]:
        """synthetic, vocab_size and num_classes, input_symbols and output_symbols."""
        return {"synthetic": True, **vocabularies(_SOURCE.vocabulary, _TARGET.vocabulary)}


def written(date: datetime.date, form: str) -> tuple[str, dict[str | None, tuple[int, int]]]:
    """A date in one of the FORMS, and where in it the year, the month and the day are."""
    text, where = "", {}
    for literal, name, _, _ in _parts(form):
        text += literal
        if name is not None:
            part, say = _PARTS[name]
            where[part] = len(text), len(text) + len(say(date))
            text += say(date)
    return text, where


@functools.cache
def _longest(forms: str) -> int:
    """As many characters as no text of these forms exceeds."""
    dates = [datetime.date(year, 1, 1) for year in range(_FIRST.year, _LAST.year + 1)]
    dates += [_FIRST + datetime.timedelta(days) for days in range(365)]  # every month and day
    most = {name: max(len(say(date)) for date in dates) for name, (_, say) in _PARTS.items()}
    return max(
        sum(len(literal) + most.get(name, 0) for literal, name, _, _ in _parts(form))
        for form in FORMS[forms]
    )
