"""Text as words: what a word is, which have an id, and the ids of a text."""

import collections
import re

import numpy as np

PATTERNS = {
    "word": r"\n|<\w+>|\w+(?:['’-]\w+)*|[^\w\s]",  # words, and each other mark by itself
    "token": r"\n|[^\s]+",  # what stands between spaces
}
UNKNOWN, END = "<unk>", "<eos>"


def split(text: str, pattern: str) -> list[str]:
    """The words of a text, END in place of each newline."""
    return [END if word == "\n" else word for word in re.findall(pattern, text)]


def most_frequent(words: list[str], size: int) -> list[str]:
    """UNKNOWN, END and the most frequent other words, `size` in all at most.

    Those that are as frequent as each other are in alphabetical order.
    """
    counts = collections.Counter(words)
    others = sorted((-n, word) for word, n in counts.items() if word not in (UNKNOWN, END))
    return [UNKNOWN, END, *(word for _, word in others[: size - 2])]


def encode(vocabulary: list[str], words: list[str]) -> np.ndarray:
    """The ids [N] int32 of words; those that the vocabulary lacks are UNKNOWN."""
    ids = {word: i for i, word in enumerate(vocabulary)}
    unknown = ids[UNKNOWN]
    return np.fromiter((ids.get(word, unknown) for word in words), np.int32, len(words))
