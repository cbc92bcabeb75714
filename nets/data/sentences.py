"""Sentences with a class each: reviews by what they think, questions by what they ask for."""

import dataclasses
import functools
import hashlib
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from nets.data import buckets, sentence_files, tokenizers
from nets.data.checks import check_fits
from nets.data.dataset import Batches, Dataset, Input, Spec, padded
from nets.data.sentence_files import Labelled
from nets.data.tokenizers import UNKNOWN, Words, by_frequency, pad
from nets.errors import UserError, about, check_choice, check_range

_NAMES = ("modules", "trec_coarse", "trec_fine")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sentences(Dataset):
    """Sentences of words, each of one class, from any files of one's own or an embedded set.

    A batch holds

        inputs  [B, W] int32, the words, then 0
        targets [B] int32, the classes
        mask    [B] float32, in an evaluation

    Words and marks are the most frequent of the training text, in lower case with `lower`; all
    others are the symbol 1. Classes are those of the training text, in the order of their names.

    W is the smallest of `widths` and max_length that holds the batch, so that there are as many
    shapes of batches ("shapes" of the metadata). A sentence above max_length is cut off; `metadata`
    counts those, and the unknown words.

    Without a file for the test every tenth row of each class is tested (its 10th, 20th, ...);
    without one for the validation every tenth of the others validates.

    Attributes:
        name: "modules" (embedded: sentences of the documentation of Python's standard library, by
            the module they are from), "trec_coarse" (questions by the kind of their answer, 6
            classes; TFDS, prepared as array_record) or "trec_fine" (47 classes). None means the
            files.
        data_dir: folder of the TFDS sets. None means TFDS's own, ~/tensorflow_datasets.
        path: file of two columns, or folder with a file per class (`nets.data.sentence_files`); is
            taken instead of `name`.
        validation_path: the same for validation. None means a tenth of the rest.
        test_path: the same for the test. None means a tenth.
        label_column: which of the two columns is the class, 0 or 1.
        header: whether the first line of a file names the columns.
        level: what a word is: a word or a punctuation mark; or whatever stands between two spaces.
        lower: whether words are in lower case.
        min_count: times that a word must occur in the training text to be known.
        max_words: words at most that are known, with the end and the unknown. None means all.
        max_length: words at most of a sentence.
        widths: other widths, rising and below max_length, that a batch may have.
        batch_size: sentences in a training batch.
        eval_batch_size: sentences in a batch of an evaluation.
    """

    reads_prompts: ClassVar[bool] = True

    name: Literal["modules", "trec_coarse", "trec_fine"] | None = None
    data_dir: str | None = None
    path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    label_column: int = 0
    header: bool = False
    level: Literal["word", "token"] = "word"
    lower: bool = True
    min_count: int = 2
    max_words: int | None = None
    max_length: int = 60
    widths: tuple[int, ...] = (10, 20, 30, 40)
    batch_size: int = 50
    eval_batch_size: int = 100

    def __post_init__(self) -> None:
        check_choice(self, "name", (None, *_NAMES))
        check_choice(self, "level", tuple(tokenizers.PATTERNS))
        check_range(self, "max_length", "min_count", "batch_size", "eval_batch_size", at_least=1)
        check_range(self, "label_column", at_least=0, at_most=1)
        check_range(self, "max_words", at_least=3)
        buckets.check_widths(self.widths, self.max_length)
        if self.path is None and (self.validation_path or self.test_path):
            raise UserError("must be given with validation_path or test_path.", "path")

    def train(self, seed: int) -> Batches:
        rows = self._corpus().rows["train"]
        check_fits(self, len(rows.targets), "training sentences")
        chosen = buckets.training_rows(seed, self.batch_size, rows.lengths, self.widths)
        return Batches(lambda i: rows.batch(chosen(i), self._widths))

    def evaluate(self, split: str) -> Batches:
        """All batches of a split, sorted by length."""
        self.check_split(split, "train")
        rows = self._corpus().rows[split]
        order = np.argsort(rows.lengths, kind="stable")
        return padded(
            len(order),
            self.eval_batch_size,
            lambda chosen: rows.batch(order[chosen], self._widths),
        )

    def splits(self) -> tuple[str, ...]:
        return ("validation", "test")

    def spec(self) -> Spec:
        """The shapes; the sizes of words and classes stand in for those of the files, unread."""
        ids = np.dtype(np.int32)
        arrays = {
            "inputs": ((self.batch_size, self.max_length), ids),
            "targets": ((self.batch_size,), ids),
        }
        classes = {"trec_coarse": 6, "trec_fine": 47}.get(self.name, 2)
        return Spec(arrays, {"vocab_size": self.max_words or 10_000, "num_classes": classes})

    def metadata(self) -> dict[str, Any]:
        """vocab_size and vocabulary, words (the pattern) and lower, num_classes and class_names,
        digest, train_examples, shapes (of batches, at most), and by split: sizes, long (sentences
        that are cut off) and unknown (words that are not in the vocabulary).

        Raises:
            UserError: a file cannot be read or is not as it should be, or an evaluation has a class
                that the training text has not.
        """
        corpus = self._corpus()
        return {
            "vocab_size": len(corpus.tokenizer.vocabulary),
            "vocabulary": list(corpus.tokenizer.vocabulary),
            "words": corpus.tokenizer.pattern,
            "lower": corpus.tokenizer.lower,
            "num_classes": len(corpus.class_names),
            "class_names": list(corpus.class_names),
            "digest": corpus.digest,
            "train_examples": len(corpus.rows["train"].targets),
            "shapes": len(self._widths),
            "sizes": {split: len(rows.targets) for split, rows in corpus.rows.items()},
            **corpus.counts,
        }

    def tokenizer(self, metadata: dict[str, Any]) -> Words:
        return Words(tuple(metadata["vocabulary"]), metadata["words"], metadata["lower"])

    def target_tokenizer(self, metadata: dict[str, Any]) -> None:
        return None

    def read_prompt(self, text: str, metadata: dict[str, Any]) -> Input:
        words = self.tokenizer(metadata)
        split = words.split(text)
        if not 0 < len(split) <= self.max_length:
            raise UserError(
                f"must have from 1 to max_length={self.max_length} words, got {len(split)}.",
                "prompt",
            )
        width = buckets.width_of(self._widths, np.array([len(split)]))
        batch = {"inputs": pad([words.encode_lossy(text)], width)}
        return Input(batch, {"words": np.array(split)})

    @property
    def _widths(self) -> tuple[int, ...]:
        return (*self.widths, self.max_length)

    def _corpus(self) -> "Corpus":
        pattern = tokenizers.PATTERNS[self.level]
        fields = ("path", "validation_path", "test_path")
        paths = tuple((field, getattr(self, field)) for field in fields)
        vocabulary = (pattern, self.lower, self.min_count, self.max_words, self.max_length)
        source = (self.name, self.data_dir, paths, self.label_column, self.header)
        return _corpus(source, *vocabulary)


class Rows(NamedTuple):
    """The encoded sentences of a split: inputs [N, max_length], lengths [N] and classes [N]."""

    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray

    def batch(self, chosen: np.ndarray, widths: tuple[int, ...]) -> dict[str, np.ndarray]:
        """The batch of these sentences, of the smallest of the widths that holds them."""
        width = buckets.width_of(widths, self.lengths[chosen])
        return {"inputs": self.inputs[chosen, :width], "targets": self.targets[chosen]}


class Corpus(NamedTuple):
    """Sentences, encoded by the words and the classes of the training split."""

    tokenizer: Words
    class_names: tuple[str, ...]
    rows: dict[str, Rows]
    counts: dict[str, dict[str, int]]
    digest: str


@functools.lru_cache(maxsize=2)
def _corpus(source, pattern, lower, min_count, max_words, max_length) -> Corpus:
    texts = _texts(*source)
    words = Words((), pattern, lower)
    training = (word for row in texts["train"] for word in words.split(row.sentence))
    vocabulary = by_frequency(training, ("", UNKNOWN), max_words, min_count)
    words = dataclasses.replace(words, vocabulary=vocabulary)
    classes = tuple(sorted({row.label for row in texts["train"]}))
    if len(classes) < 2:
        raise UserError(f"the training text must have two classes, it has {', '.join(classes)}.")
    indices = {name: k for k, name in enumerate(classes)}
    digest = hashlib.blake2b("\0".join((*vocabulary, *classes)).encode(), digest_size=16)
    rows, counts = {}, {"long": {}, "unknown": {}}
    for split, text in texts.items():
        if unknown := sorted({row.label for row in text} - {*classes}):
            raise about(
                _setting(split, source),
                f"has the class {unknown[0]!r}, which the training text has not; valid are "
                f"{', '.join(classes[:20])}.",
            )
        encoded = [words.encode_lossy(row.sentence) for row in text]
        counts["long"][split] = sum(len(ids) > max_length for ids in encoded)
        counts["unknown"][split] = int(sum((ids == 1).sum() for ids in encoded))
        inputs = pad(encoded, max_length)
        targets = np.array([indices[row.label] for row in text], np.int32)
        rows[split] = Rows(inputs, (inputs > 0).sum(1), targets)
        for array in rows[split]:
            digest.update(f"\0{split} {array.shape}\0".encode() + array.tobytes())
    return Corpus(words, classes, rows, counts, digest.hexdigest())


def _setting(split: str, source: tuple) -> str:
    """How a split was given, for errors."""
    field = f"{split}_path"
    path = dict(source[2]).get(field)
    return f"the {split} split" if path is None else f"{field}={path}"


def _texts(name, data_dir, paths, label_column, header) -> dict[str, list[Labelled]]:
    """The sentences of each split."""
    texts = {
        field: sentence_files.read(f"{field}={path}", path, label_column, header)
        for field, path in paths
        if path is not None
    }
    if "path" in texts:
        parts = texts["path"], texts.get("validation_path"), texts.get("test_path")
    elif name == "modules":
        parts = sentence_files.modules(), None, None
    elif name is not None:
        trec = sentence_files.trec(data_dir, fine=name == "trec_fine")
        parts = trec["train"], None, trec["test"]
    else:
        raise UserError(
            "is needed: a file with a class and a sentence on each line, or a folder with a file "
            "per class.",
            "path",
        )
    by_class = sorted(parts[0], key=lambda row: row.label)  # the order within a class stays
    return buckets.split_tenths(by_class, *parts[1:])
