"""Sentences with a tag for each word, from files in columns: parts of speech, chunks, entities."""

import dataclasses
import functools
import hashlib
import itertools
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from nets.data import buckets, column_files, python_tokens, tokenizers
from nets.data.checks import check_fits
from nets.data.column_files import Tagged
from nets.data.dataset import Batches, Dataset, Input, Spec, padded
from nets.data.tokenizers import UNKNOWN, Words, by_frequency, pad
from nets.errors import UserError, check_choice, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conll(Dataset):
    """Sentences of words with tags, from any file in columns (`nets.data.column_files`).

    A batch holds

        inputs     [B, W] int32, the words, then 0
        characters [B, W, C] int32, those of each word, then 0
        targets    [B, W] int32, the tags; 0 after the last
        mask       [B, W] float32, 1 for a word

    Words are the most frequent of the training text, in lower case with `lower`; all others are the
    symbol 1. Characters are those of the training text, in their case; others are the symbol 1. The
    first `max_characters` of a word are read. Tags are those of all splits.

    W is the smallest of `widths` and max_length that holds the batch, so that there are as many
    shapes of batches ("shapes" of the metadata). A training sentence above max_length is left out;
    in an evaluation no word is: W is there, where it must be, the length of the longest sentence.
    `metadata` counts the long sentences and the unknown words.

    Attributes:
        name: "python" (embedded: tokens of Python's standard library and their roles,
            `nets.data.python_tokens`). None means the files.
        path: file to train on; is taken instead of `name`.
        validation_path: file to validate on. None means every tenth training sentence.
        test_path: file to test on. None means every tenth training sentence, before those of the
            validation are taken.
        word_column: the column of the words, from 0; -1 is the last.
        tag_column: that of the tags.
        lower: whether words are in lower case.
        min_count: times that a word must occur in the training text to be known.
        max_words: words at most that are known, with the end and the unknown. None means all.
        max_characters: characters C of a word that are read.
        max_length: words at most of a training sentence.
        widths: other widths, rising and below max_length, that a batch may have.
        batch_size: sentences in a training batch.
        eval_batch_size: sentences in a batch of an evaluation.
    """

    reads_prompts: ClassVar[bool] = True

    name: Literal["python"] | None = None
    path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    word_column: int = 0
    tag_column: int = 1
    lower: bool = True
    min_count: int = 2
    max_words: int | None = None
    max_characters: int = 16
    max_length: int = 60
    widths: tuple[int, ...] = (10, 20, 30, 40)
    batch_size: int = 32
    eval_batch_size: int = 64

    def __post_init__(self) -> None:
        check_choice(self, "name", (None, "python"))
        check_range(self, "max_characters", "max_length", "min_count", at_least=1)
        check_range(self, "batch_size", "eval_batch_size", at_least=1)
        check_range(self, "max_words", at_least=3)
        buckets.check_widths(self.widths, self.max_length)
        if self.path is None and (self.validation_path or self.test_path):
            raise UserError("must be given with validation_path or test_path.", "path")

    def train(self, seed: int) -> Batches:
        rows = self._corpus().rows["train"]
        n, longest = len(rows.lengths), rows.lengths
        check_fits(self, n, f"training sentences of at most {self.max_length} words")
        widths = (*self.widths, self.max_length)
        chosen = buckets.training_rows(seed, self.batch_size, longest, self.widths)
        return Batches(lambda i: rows.batch(chosen(i), widths))

    def evaluate(self, split: str) -> Batches:
        """All batches of a split, sorted by length."""
        self.check_split(split, "train")
        rows = self._corpus().rows[split]
        order = np.argsort(rows.lengths, kind="stable")
        widths = (*self.widths, max(self.max_length, rows.lengths.max()))
        return padded(
            len(order), self.eval_batch_size, lambda chosen: rows.batch(order[chosen], widths)
        )

    def splits(self) -> tuple[str, ...]:
        return ("validation", "test")

    def spec(self) -> Spec:
        """The shapes; the sizes of the vocabularies stand in for those of the files, unread."""
        b, w, ids = self.batch_size, self.max_length, np.dtype(np.int32)
        arrays = {
            "inputs": ((b, w), ids),
            "characters": ((b, w, self.max_characters), ids),
            "targets": ((b, w), ids),
            "mask": ((b, w), np.dtype(np.float32)),
        }
        return Spec(arrays, {"vocab_size": 10_000, "num_characters": 100, "num_classes": 20})

    def metadata(self) -> dict[str, Any]:
        """vocab_size and vocabulary (of words), lower, num_characters and alphabet, num_classes
        and tags, digest, train_examples, shapes (of batches, at most), and by split: sizes, words,
        long (sentences above max_length) and unknown (words that are not in the vocabulary).

        Raises:
            UserError: a file cannot be read or is not as it should be.
        """
        corpus = self._corpus()
        return {
            "vocab_size": len(corpus.vocabulary),
            "vocabulary": list(corpus.vocabulary),
            "lower": self.lower,
            "num_characters": len(corpus.characters),
            "alphabet": list(corpus.characters),
            "num_classes": len(corpus.tags),
            "tags": list(corpus.tags),
            "digest": corpus.digest,
            "train_examples": len(corpus.rows["train"].lengths),
            "shapes": len(self.widths) + 1,
            "sizes": {split: len(rows.lengths) for split, rows in corpus.rows.items()},
            "words": {split: int(rows.lengths.sum()) for split, rows in corpus.rows.items()},
            **corpus.counts,
        }

    def tokenizer(self, metadata: dict[str, Any]) -> Words:
        """Words, between spaces; what is not known is "<unk>"."""
        return Words(tuple(metadata["vocabulary"]), lower=metadata["lower"])

    def target_tokenizer(self, metadata: dict[str, Any]) -> Words:
        return Words(tuple(metadata["tags"]))

    def read_prompt(self, text: str, metadata: dict[str, Any]) -> Input:
        """A sentence: words and marks, as `nets.data.tokenizers.PATTERNS["word"]` splits them."""
        words = Words((), tokenizers.PATTERNS["word"]).split(text)
        if not words:
            raise UserError(f"must have words, got {text!r}.", "prompt")
        ids, characters = _encode(words, metadata, self.max_characters)
        widths = (*self.widths, max(self.max_length, len(words)))
        width = buckets.width_of(widths, np.array([len(words)]))
        batch = {
            "inputs": pad([ids], width),
            "characters": np.pad(characters, ((0, width - len(words)), (0, 0)))[None],
        }
        return Input(batch, {"words": np.array(words)})

    def _corpus(self) -> "Corpus":
        fields = ("path", "validation_path", "test_path")
        paths = tuple((field, getattr(self, field)) for field in fields)
        shape = (self.lower, self.min_count, self.max_words, self.max_characters, self.max_length)
        return _corpus(self.name, paths, self.word_column, self.tag_column, *shape)


class Rows(NamedTuple):
    """The encoded sentences of a split, of N words in all, one after the other.

    Attributes:
        lengths: of the sentences.
        starts: their first words.
        ids: words [N + 1]; the last is the padding.
        characters: [N + 1, C].
        tags: [N + 1].
    """

    lengths: np.ndarray
    starts: np.ndarray
    ids: np.ndarray
    characters: np.ndarray
    tags: np.ndarray

    def batch(self, chosen: np.ndarray, widths: tuple[int, ...]) -> dict[str, np.ndarray]:
        """The batch of these sentences, of the smallest of the widths that holds them."""
        lengths = self.lengths[chosen, None]
        steps = np.arange(buckets.width_of(widths, lengths))
        words = np.where(steps < lengths, self.starts[chosen, None] + steps, -1)  # [B, W]
        return {
            "inputs": self.ids[words],
            "characters": self.characters[words],
            "targets": self.tags[words],
            "mask": (steps < lengths).astype(np.float32),
        }


class Corpus(NamedTuple):
    """Tagged sentences, encoded by the vocabularies of the training split."""

    vocabulary: tuple[str, ...]
    characters: tuple[str, ...]
    tags: tuple[str, ...]
    rows: dict[str, Rows]
    counts: dict[str, dict[str, int]]
    digest: str


@functools.lru_cache(maxsize=2)
def _corpus(
    name, paths, word_column, tag_column, lower, min_count, max_words, max_characters, max_length
) -> Corpus:
    texts = _texts(name, paths, word_column, tag_column)
    known = [word.lower() if lower else word for s in texts["train"] for word in s.words]
    vocabulary = by_frequency(known, ("", UNKNOWN), max_words, min_count)
    letters = sorted({c for s in texts["train"] for word in s.words for c in word})
    tags = tuple(sorted({tag for text in texts.values() for s in text for tag in s.tags}))
    metadata = {"vocabulary": vocabulary, "alphabet": ("", UNKNOWN, *letters), "lower": lower}
    rows, counts, digest = {}, {"long": {}, "unknown": {}}, hashlib.blake2b(digest_size=16)
    digest.update("\0".join((*vocabulary, *letters, *tags)).encode())
    for split, text in texts.items():
        counts["long"][split] = sum(len(s.words) > max_length for s in text)
        if split == "train":
            text = [s for s in text if len(s.words) <= max_length]
        lengths = np.array([len(s.words) for s in text], np.int32)
        ids, characters = _encode(
            list(itertools.chain(*(s.words for s in text))), metadata, max_characters
        )
        indices = {tag: k for k, tag in enumerate(tags)}
        of_words = np.array([indices[tag] for s in text for tag in s.tags], np.int32)
        counts["unknown"][split] = int((ids == 1).sum())
        arrays = [
            np.pad(a, [(0, 1)] + [(0, 0)] * (a.ndim - 1)) for a in (ids, characters, of_words)
        ]
        rows[split] = Rows(lengths, np.cumsum(lengths) - lengths, *arrays)
        for array in rows[split]:
            digest.update(f"\0{split} {array.shape}\0".encode() + array.tobytes())
    return Corpus(vocabulary, metadata["alphabet"], tags, rows, counts, digest.hexdigest())


def _texts(name, paths, word_column: int, tag_column: int) -> dict[str, list[Tagged]]:
    """The sentences of each split."""
    paths = dict(paths)
    if paths["path"] is None and name == "python":
        return python_tokens.sentences()
    if paths["path"] is None:
        raise UserError("is needed: a file of words and their tags in columns.", "path")
    texts = {
        field: column_files.read(f"{field}={path}", path, word_column, tag_column)
        for field, path in paths.items()
        if path is not None
    }
    return buckets.split_tenths(texts["path"], texts.get("validation_path"), texts.get("test_path"))


def _encode(
    words: list[str], metadata: dict[str, Any], max_characters: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ids [N] of words and of their characters [N, C]."""
    ids = {word: k for k, word in enumerate(metadata["vocabulary"])}
    letters = {character: k for k, character in enumerate(metadata["alphabet"])}
    lower = str.lower if metadata["lower"] else str
    of_words = np.array([ids.get(lower(word), 1) for word in words], np.int32)
    rows = [[letters.get(c, 1) for c in word[:max_characters]] for word in words]
    return of_words, pad(rows, max_characters)
