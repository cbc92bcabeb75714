"""Text as the ids of a vocabulary, and back: characters, words, subwords."""

import abc
import collections
import dataclasses
import functools
import io
import itertools
import re
from collections.abc import Iterable, Sequence

import numpy as np

from nets.errors import UserError, missing

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
        """The ids [N] int32 of a text; symbols that the vocabulary lacks are the unknown one."""
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


@dataclasses.dataclass(frozen=True)
class Subwords(Tokenizer):
    """Byte-pair encoding (Sennrich et al. 2016), by the sentencepiece library; see `train_bpe`.

    A "▁" in a symbol is a space. Only `split` and `encode` need the library.

    Attributes:
        model: sentencepiece's, serialised.
    """

    model: bytes

    @classmethod
    def from_model(cls, model: bytes) -> "Subwords":
        """The tokenizer of a model, whose symbol 0 is the end."""
        processor = _library().SentencePieceProcessor(model_proto=model)
        pieces = (processor.id_to_piece(i) for i in range(1, processor.get_piece_size()))
        return cls(("", *pieces), model)

    @functools.cached_property
    def _processor(self):
        return _library().SentencePieceProcessor(model_proto=self.model)

    def split(self, text: str) -> list[str]:
        return self._processor.encode(text, out_type=str)

    def join(self, symbols: Iterable[str]) -> str:
        return "".join(symbols).replace("▁", " ").strip()


def train_bpe(lines: Iterable[str], size: int) -> Subwords:
    """Trains `size` subwords on a text; the same every time.

    Symbol 0 is the end, 1 the unknown: whatever has characters that the text lacks. The text is
    taken as it is, but that several spaces are one.

    Raises:
        UserError: the library is not installed, or the text has not so many subwords, or more
            characters.
    """
    model = io.BytesIO()
    try:
        _library().SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            eos_id=0,
            unk_id=1,
            bos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        numbers = re.findall(r"\d+", str(error).rpartition("Vocabulary size")[2])
        limit = "at most" if "too high" in str(error) else "at least"
        raise UserError(
            f"vocab_size must be {limit} {numbers[-1]} for this training text, got {size}."
        ) from error
    return Subwords.from_model(model.getvalue())


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


def _library():
    try:
        import sentencepiece
    except ImportError as error:
        raise missing("text as subwords", "sentencepiece", "translate") from error
    return sentencepiece
