"""Numbers in English words and in figures."""

import functools
import re

import numpy as np

from nets.data.tokenizers import Characters, pad

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def in_words(n: int) -> str:
    """The number n, 0 to 999,999, as the British write it: "two thousand and forty-one".

    Raises:
        ValueError: n is not in 0 to 999,999.
    """
    if not 0 <= n <= 999_999:
        raise ValueError(f"{n}: 0 to 999,999 are valid")
    if n < 20:
        return _SMALL[n]
    if n < 100:
        return _TENS[n // 10 - 2] + (f"-{_SMALL[n % 10]}" if n % 10 else "")
    size, name = (1000, "thousand") if n >= 1000 else (100, "hundred")
    head, rest = f"{in_words(n // size)} {name}", n % size
    if not rest:
        return head
    between = " and " if rest < 100 else " "
    return f"{head}{between}{in_words(rest)}"


def ordinal(n: int) -> str:
    """Which one the number n, 1 to 999,999, is in a row: "twenty-first"."""
    head, last = re.fullmatch("(.*?)([a-z]+)", in_words(n)).groups()
    return head + _ORDINALS.get(last, re.sub("y$", "ie", last) + "th")


@functools.lru_cache(maxsize=2)
def numbers(maximum: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Words [N, S] and figures [N, U] of the numbers from 0 on, as ids; the letters of 1, 2, ..."""
    words = [in_words(n) for n in range(maximum + 1)]
    letters = "".join(sorted(set("".join(words))))
    of_words, of_figures = (Characters(("", *symbols)) for symbols in (letters, "0123456789"))
    figures = [str(n) for n in range(maximum + 1)]
    inputs = pad([of_words.encode(word) for word in words], max(map(len, words)))
    targets = pad([of_figures.encode(figure) for figure in figures], len(str(maximum)) + 1)
    return inputs, targets, letters
