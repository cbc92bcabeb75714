"""Text as characters or words: contiguous streams, cut into segments.

Truncated back-propagation goes through a segment, and the carry from one to the next.
"""

import dataclasses
import functools
import hashlib
from typing import Any, Literal, NamedTuple

import numpy as np

from nets.data import corpora, tokenizers
from nets.data.dataset import Batches, Dataset, Spec
from nets.data.tokenizers import Characters, Tokenizer, Words
from nets.errors import UserError, check_choice, check_range


@dataclasses.dataclass(frozen=True)
class Text(Dataset):
    """A text for a language model over characters or words.

    Batches hold "inputs" and "targets" [B, T] int32, the targets being the symbols that follow,
    and "reset" [B] bool: True where a row begins its stream, so that no carry goes into it. Row b
    of batch i goes on where row b of batch i - 1 ended; with order="random" each row of a training
    batch is drawn from anywhere in the text, and begins its own stream. Batches of an evaluation
    are streams, and also hold "mask" [B, T] float32.

    Characters have ids in their own order. Words are the most frequent of the training text; all
    others are one symbol, <unk>, and the end of a line is one, <eos>.

    Attributes:
        name: "python" (embedded: prose documentation and source of Python's standard library,
            about 5 MB), "prose" (embedded: its documentation and docstrings, about 1.3 MB),
            "tiny_shakespeare" (TFDS, prepared as array_record; without a test split), or "hello"
            (those five letters, in every split).
        data_dir: folder of the TFDS sets. None means TFDS's own, ~/tensorflow_datasets.
        path: any UTF-8 file, or a folder of such files; is taken instead of `name`.
        suffixes: how the names of a folder's files end that are read, in its subfolders too.
        level: what a symbol is: a character; a word or a punctuation mark; or whatever stands
            between two spaces, for text that others have split (Penn Treebank, WikiText).
        max_words: words at most that have an id of their own, <unk> and <eos> included.
        batch_size: streams that the training text is cut into, side by side.
        length: symbols in a segment.
        order: how training rows follow each other: as streams, or each drawn for itself, as suits a
            model without a carry.
        eval_batch_size: streams that the text of an evaluation is cut into.
        validation: share of the text for validation, where the set has no split of its own.
        test: share of the text for the test, where the set has no split of its own.
    """

    name: Literal["python", "prose", "tiny_shakespeare", "hello"] = "python"
    data_dir: str | None = None
    path: str | None = None
    suffixes: tuple[str, ...] = (".py", ".c", ".h", ".txt", ".md")
    level: Literal["character", "word", "token"] = "character"
    max_words: int = 10_000
    batch_size: int = 32
    length: int = 64
    order: Literal["streams", "random"] = "streams"
    eval_batch_size: int = 32
    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "length", "eval_batch_size", at_least=1)
        check_range(self, "max_words", at_least=3)
        check_choice(self, "name", ("python", "prose", "tiny_shakespeare", "hello"))
        check_choice(self, "order", ("streams", "random"))
        check_choice(self, "level", ("character", *tokenizers.PATTERNS))
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):
            raise UserError(
                "validation and test must be shares from 0 that leave some text to train on, got "
                f"{self.validation} and {self.test}."
            )

    def train(self, seed: int) -> Batches:
        """The training batches; element i is segment i modulo the segments of an epoch.

        The order is the text's own, whatever the seed. The last symbols, fewer than a segment
        for each row, are left out. With order="random" rows begin anywhere, all symbols alike.

        Raises:
            UserError: the text is too short for one segment of each stream.
        """
        ids, b, t = self._corpus().ids["train"], self.batch_size, self.length
        targets = max(len(ids) - 1, 0)
        stream = targets // b
        segments = stream // t
        if not segments:
            fits = [f"batch_size={targets // t}"] if targets >= t else []
            fits += [f"length={stream}"] if targets >= b else []
            raise UserError(
                f"the training text has {len(ids)} {self.level}s, and batch_size={b} times "
                f"length={t} needs {b * t + 1}; "
                f"{' or '.join(fits) or 'neither alone'} would fit."
            )
        starts = stream * np.arange(b)[:, None] + np.arange(t + 1)  # [B, T + 1]

        def drawn(i: int) -> dict[str, np.ndarray]:
            first = np.random.default_rng((seed, i)).integers(0, targets - t + 1, (b, 1))
            window = ids[first + np.arange(t + 1)].astype(np.int32)
            reset = np.ones(b, bool)
            return {"inputs": window[:, :-1], "targets": window[:, 1:], "reset": reset}

        def batch(i: int) -> dict[str, np.ndarray]:
            segment = i % segments
            window = ids[starts + segment * t].astype(np.int32)
            return {
                "inputs": window[:, :-1],
                "targets": window[:, 1:],
                "reset": np.full(b, segment == 0),
            }

        return Batches(drawn if self.order == "random" else batch)

    def evaluate(self, split: str) -> Batches:
        """The text of a split, "train" too, every symbol but its first once a target."""
        self.check_split(split, "train")
        ids, b, t = self._corpus().ids[split], self.eval_batch_size, self.length
        targets = len(ids) - 1
        if targets < 1:
            raise UserError(f"the {split} text must have 2 {self.level}s, and has {len(ids)}.")
        stream = -(-targets // b)

        def batch(i: int) -> dict[str, np.ndarray]:
            within = i * t + np.arange(t)
            position = stream * np.arange(b)[:, None] + within  # [B, T]
            real = (within < stream) & (position < targets)
            position = np.where(real, position, 0)
            return {
                "inputs": ids[position].astype(np.int32),
                "targets": ids[position + 1].astype(np.int32),
                "reset": np.full(b, i == 0),
                "mask": real.astype(np.float32),
            }

        return Batches(batch, -(-stream // t))

    def splits(self) -> tuple[str, ...]:
        if self.path is None and self.name == "tiny_shakespeare":
            return ("validation",)
        return ("validation",) * (self.validation > 0) + ("test",) * (self.test > 0)

    def spec(self) -> Spec:
        segment = ((self.batch_size, self.length), np.dtype(np.int32))
        reset = ((self.batch_size,), np.dtype(bool))
        return Spec({"inputs": segment, "targets": segment, "reset": reset})

    def metadata(self) -> dict[str, Any]:
        """vocab_size, vocabulary (symbol k of it has the id k), digest, sizes in symbols.

        The vocabulary of characters is a string. That of words is a list, and "words" is the
        regular expression by which a text falls into them.

        Raises:
            UserError: the training text is empty.
        """
        corpus = self._corpus()
        vocabulary = corpus.tokenizer.vocabulary
        if self.level == "character":
            written = {"vocabulary": "".join(vocabulary)}
        else:
            written = {"vocabulary": list(vocabulary), "words": tokenizers.PATTERNS[self.level]}
        return {
            "vocab_size": len(vocabulary),
            **written,
            "digest": corpus.digest,
            "sizes": {split: len(corpus.ids[split]) for split in ("train", *self.splits())},
        }

    def tokenizer(self, metadata: dict[str, Any]) -> Tokenizer:
        vocabulary = tuple(metadata["vocabulary"])
        return (
            Words(vocabulary, metadata["words"]) if "words" in metadata else Characters(vocabulary)
        )

    def _corpus(self) -> "Corpus":
        where = self.name, self.data_dir, self.path, self.suffixes, self.validation, self.test
        corpus = _corpus(self.level, self.max_words, *where)
        if not len(corpus.ids["train"]):
            text = f"name={self.name}" if self.path is None else f"path={self.path}"
            raise UserError(f"the training text of {text} has 0 {self.level}s; it must have 2.")
        return corpus


class Corpus(NamedTuple):
    """An encoded text.

    Its vocabulary is the sorted set of the characters of all splits, or the most frequent words of
    the training text.
    """

    tokenizer: Tokenizer
    ids: dict[str, np.ndarray]  # of the smallest type that holds them
    digest: str


@functools.lru_cache(maxsize=2)
def _corpus(level: str, max_words: int, *where) -> Corpus:
    texts, between = _texts(*where), ""
    if level == "character":
        tokenizer = Characters(tuple(sorted(set().union(*texts.values()))))
    else:
        words, between = Words((), tokenizers.PATTERNS[level]), "\n"
        special = tokenizers.UNKNOWN, tokenizers.NEWLINE
        frequent = tokenizers.by_frequency(words.split(texts["train"]), special, max_words)
        tokenizer = dataclasses.replace(words, vocabulary=frequent)
    vocabulary = tokenizer.vocabulary
    small = np.min_scalar_type(max(len(vocabulary) - 1, 0))
    digest = hashlib.blake2b(between.join(vocabulary).encode(), digest_size=16)
    ids = {split: tokenizer.encode_lossy(text).astype(small) for split, text in texts.items()}
    for split, part in ids.items():
        digest.update(f"\0{split} {len(part)}\0".encode())
        digest.update(part)
    return Corpus(tokenizer, ids, digest.hexdigest())


def _texts(name, data_dir, path, suffixes, validation, test) -> dict[str, str]:
    if path is not None:
        return corpora.from_path(path, suffixes, validation, test)
    if name == "tiny_shakespeare":
        return corpora.tiny_shakespeare(data_dir)
    if name == "hello":
        return dict.fromkeys(("train", "validation", "test"), "hello")
    return (corpora.prose if name == "prose" else corpora.python)(validation, test)
