"""Text as the ids of a vocabulary, and back: characters, words, subwords."""

import abc
import collections
import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Sequence

import numpy as np

from nets.errors import UserError

UNKNOWN, NEWLINE = "<unk>", "<eos>"  # symbols of words
PATTERNS = {
    "word": r"\n|<\w+>|\w+(?:['’-]\w+)*|[^\w\s]",  # words, and each other mark by itself
    "token": r"\n|[^\s]+",  # everything between spaces
}


@dataclasses.dataclass(frozen=True)
class Tokenizer(abc.ABC):
    """Turns text into ids and back.

    Attributes:
        vocabulary: symbol k has the id k. Where "" is one, it ends a sequence; "<unk>" stands for
            what the vocabulary lacks.
    """

    vocabulary: tuple[str, ...]

    @abc.abstractmethod
    def split(self, text: str) -> Sequence[str]:
        """The symbols of a text, those that the vocabulary lacks too."""

    @abc.abstractmethod
    def join(self, symbols: Iterable[str]) -> str:
        """The text of symbols."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without the end.

        Raises:
            UserError: it has symbols that the vocabulary lacks.
        """
        symbols, ids = self.split(text), self._ids
        if unknown := [symbol for symbol in dict.fromkeys(symbols) if symbol not in ids]:
            valid = self.join(self.vocabulary)
            valid = repr(valid) if len(valid) <= 200 else f"{valid[:200]!r} and more"
            raise UserError(
                f"{text!r} has {self.join(unknown)!r}, which the vocabulary lacks: valid are "
                f"{valid}."
            )
        return [ids[symbol] for symbol in symbols]

    def encode_lossy(self, text: str) -> np.ndarray:
        """The ids [N] int32 of a text; what the vocabulary lacks has the id of "<unk>", or -1."""
        symbols, ids, unknown = self.split(text), self._ids, self._ids.get(UNKNOWN, -1)
        return np.fromiter((ids.get(s, unknown) for s in symbols), np.int32, len(symbols))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, which ends at the end symbol where there is one."""
        return self.join(itertools.takewhile(bool, (self.vocabulary[i] for i in ids)))

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.vocabulary)}


@dataclasses.dataclass(frozen=True)
class Characters(Tokenizer):
    """Each character is a symbol."""

    def split(self, text: str) -> str:
        return text

    def join(self, symbols: Iterable[str]) -> str:
        return "".join(symbols)


@dataclasses.dataclass(frozen=True)
class Words(Tokenizer):
    """Words by a regular expression; the newline is the symbol "<eos>", where it is matched.

    Attributes:
        pattern: what a word is; text between its matches is left out.
        lower: whether text becomes lower case.
    """

    pattern: str = r"\S+"
    lower: bool = False

    def split(self, text: str) -> list[str]:
        words = re.findall(self.pattern, text.lower() if self.lower else text)
        return [NEWLINE if word == "\n" else word for word in words]

    def join(self, symbols: Iterable[str]) -> str:
        """Words with a space between two of a line."""
        text = " ".join("\n" if symbol == NEWLINE else symbol for symbol in symbols)
        return re.sub(" ?\n ?", "\n", text)


def by_frequency(
    symbols: Iterable[str], special: tuple[str, ...], size: int | None = None, min_count: int = 1
) -> tuple[str, ...]:
    """A vocabulary: the special symbols, then the most frequent others.

    Those that are as frequent as each other are in alphabetical order.

    Args:
        symbols: those of a text.
        special: the first symbols, however frequent.
        size: maximum of symbols in all; None means all.
        min_count: times that a symbol must occur.
    """
    counts = collections.Counter(symbols)
    others = sorted((-n, s) for s, n in counts.items() if n >= min_count and s not in special)
    return (*special, *(symbol for _, symbol in others))[:size]


def pad(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    """Rows of ids as [N, width] int32: cut off at `width`, or filled up with 0."""
    ids = np.zeros((len(rows), width), np.int32)
    for padded, row in zip(ids, rows, strict=True):
        padded[: len(row)] = row[:width]
    return ids


def target_mask(targets: np.ndarray) -> np.ndarray:
    """The mask [B, U] float32 of targets [B, U]: their symbols and the first 0, the end."""
    before = np.pad(targets[:, :-1] > 0, ((0, 0), (1, 0)), constant_values=True)
    return before.astype(np.float32)
