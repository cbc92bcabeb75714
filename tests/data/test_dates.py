"""Dates: against forms written out by hand, and against dateutil's reading of them."""

import datetime

import dateutil.parser
import numpy as np
import pytest

from nets.data import dates
from nets.data.dates import Dates, written
from nets.data.numerals import ordinal
from nets.errors import UserError

BY_HAND = {
    "{YYYY}-{MM}-{DD}": "1979-05-03 2005-11-21",
    "{YYYY}/{MM}/{DD}": "1979/05/03 2005/11/21",
    "{YYYY} {month} {D}": "1979 may 3|2005 november 21",
    "{YYYY}, {month} {Dth}": "1979, may 3rd|2005, november 21st",
    "{YYYY} {mon} {DD}": "1979 may 03|2005 nov 21",
    "'{YY} {mon} {D}": "'79 may 3|'05 nov 21",
    "'{YY}, {month} the {day}": "'79, may the third|'05, november the twenty-first",
    "{year}, {month} {Dth}": "nineteen seventy-nine, may 3rd|two thousand and five, november 21st",
    "{year}, {month} the {day}": (
        "nineteen seventy-nine, may the third|two thousand and five, november the twenty-first"
    ),
    "the year {year}, {month} {D}": (
        "the year nineteen seventy-nine, may 3|the year two thousand and five, november 21"
    ),
    "{D} {month} {YYYY}": "3 may 1979|21 november 2005",
    "{Dth} of {month} {YYYY}": "3rd of may 1979|21st of november 2005",
    "{D} {mon} '{YY}": "3 may '79|21 nov '05",
    "{month} {D}, {YYYY}": "may 3, 1979|november 21, 2005",
    "{mon} {DD}, {YYYY}": "may 03, 1979|nov 21, 2005",
    "{DD}.{MM}.{YYYY}": "03.05.1979 21.11.2005",
    "{MM}/{DD}/{YYYY}": "05/03/1979 11/21/2005",
    "{weekday}, {D} {month} {YYYY}": "thursday, 3 may 1979|monday, 21 november 2005",
    "{weekday} the {day} of {month}, {year}": (
        "thursday the third of may, nineteen seventy-nine|"
        "monday the twenty-first of november, two thousand and five"
    ),
    "the {day} of {month}, {year}": (
        "the third of may, nineteen seventy-nine|"
        "the twenty-first of november, two thousand and five"
    ),
}
DAYS = datetime.date(1979, 5, 3), datetime.date(2005, 11, 21)


def text(symbols, ids):
    return "".join(symbols[i] for i in ids)


@pytest.mark.parametrize("form", dates.FORMS["any"])
def test_every_form(form):
    expected = BY_HAND[form].split("|" if "|" in BY_HAND[form] else " ")
    assert [written(day, form)[0] for day in DAYS] == expected


def test_what_dateutil_reads_is_the_date():
    read = 0
    for form in dates.FORMS["any"]:
        if "{year}" in form or "{day}" in form or "'" in form:  # words, of which it knows none
            continue
        for days in range(0, dates.DATES, 97):
            day = datetime.date(1950, 1, 1) + datetime.timedelta(days)
            found = dateutil.parser.parse(written(day, form)[0], dayfirst="." in form, fuzzy=True)
            assert found.date() == day
            read += 1
    assert read > 3000


def test_days_with_their_endings():
    said = [written(datetime.date(1979, 5, day), "{Dth}")[0] for day in (1, 2, 3, 4, 11, 12, 13)]
    said += [written(datetime.date(1979, 5, day), "{Dth}")[0] for day in (20, 21, 22, 23, 31)]
    assert said == "1st 2nd 3rd 4th 11th 12th 13th 20th 21st 22nd 23rd 31st".split()


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (1, "first"),
        (3, "third"),
        (8, "eighth"),
        (9, "ninth"),
        (12, "twelfth"),
        (14, "fourteenth"),
        (20, "twentieth"),
        (22, "twenty-second"),
        (31, "thirty-first"),
        (105, "one hundred and fifth"),
    ],
)
def test_ordinals(n, words):
    assert ordinal(n) == words


@pytest.mark.parametrize(
    ("year", "words"),
    [
        (1950, "nineteen fifty"),
        (1999, "nineteen ninety-nine"),
        (2000, "two thousand"),
        (2010, "twenty ten"),
        (2049, "twenty forty-nine"),
    ],
)
def test_years_in_words(year, words):
    assert written(datetime.date(year, 1, 1), "{year}")[0] == words


def test_no_text_means_two_dates():
    of = {}
    for year in (1959, 2001, 2010, 2011):
        for k in range(365):
            day = datetime.date(year, 1, 1) + datetime.timedelta(k)
            for form in dates.FORMS["any"]:
                assert of.setdefault(written(day, form)[0], day) == day
    assert len(of) > 0.95 * 4 * 365 * len(dates.FORMS["any"])  # in May some forms are the same


@pytest.mark.parametrize("forms", dates.FORMS)
def test_batches_tell_the_date_and_where_it_is_said(forms):
    data = Dates(forms=forms, batch_size=300)
    metadata, batch, seen = data.metadata(), data.train(0)[0], set()
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == data.spec().arrays
    for x, length, y, spans in zip(
        *(batch[k] for k in ("inputs", "lengths", "targets", "spans")), strict=True
    ):
        assert (x[:length] > 0).all() and not x[length:].any() and y[10] == 0
        said, iso = text(metadata["input_symbols"], x), text(metadata["output_symbols"], y)
        day = datetime.date.fromisoformat(iso)
        form = next(form for form in dates.FORMS[forms] if written(day, form)[0] == said)
        seen.add(form)
        parts = [said[a:b] for a, b in spans]
        assert len(set(parts[:4])) == len(set(parts[5:7])) == len(set(parts[8:10])) == 1
        assert parts[4] == parts[7] == parts[10] == ""
        year, month, date = parts[0], parts[5], parts[8]
        assert year in (iso[:4], iso[2:4]) or year.split()[0] in ("nineteen", "two", "twenty")
        assert month in (iso[5:7], day.strftime("%B").lower(), day.strftime("%b").lower())
        assert date.rstrip("stndrh").lstrip("0") == str(day.day) or date == ordinal(day.day)
        if forms == "year_first":
            assert (np.diff(spans[[0, 5, 8], 0]) > 0).all()
    assert seen == set(dates.FORMS[forms])
    longest = {
        "year_first": "nineteen seventy-seven, september the twenty-seventh",
        "any": "wednesday the twenty-seventh of september, nineteen seventy-seven",
    }
    assert batch["inputs"].shape == (300, len(longest[forms]))


@pytest.mark.slow
def test_dates_of_an_evaluation_are_never_met_in_training():
    data = Dates(batch_size=60_000, eval_size=2000, eval_batch_size=1500)
    met = {split: set() for split in ("train", "validation", "test")}
    met["train"].update(map(bytes, data.train(0)[0]["targets"]))
    for split in ("validation", "test"):
        for batch in (data.evaluate(split)[i] for i in (0, 1)):
            met[split].update(map(bytes, batch["targets"][batch["mask"] > 0]))
        assert len(met[split]) == 2000 and not met["train"] & met[split]
    assert not met["validation"] & met["test"]
    assert len(met["train"]) > 27_000  # of 32,525: 1 - exp(-60000 / 32525) is 0.842, so 27,385
    assert dates.DATES == 36_525


def test_batches_are_functions_of_seed_and_step():
    one, again, other, later = (
        Dates().train(seed)[step]["inputs"] for seed, step in ((0, 2), (0, 2), (1, 2), (0, 3))
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and (one != later).any()


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="forms must be one of year_first, any, got iso"):
        Dates(forms="iso")
    with pytest.raises(UserError, match="eval_size must be at most 18262 of 36525 .* got 20000"):
        Dates(eval_size=20_000)
