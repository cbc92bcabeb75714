"""Parallel text: the same sentences in two languages, one sentence per line, as subwords."""

import base64
import dataclasses
import functools
import hashlib
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.data import buckets, corpora
from nets.data.checks import check_fits, check_together
from nets.data.dataset import Batches, Dataset, Spec, padded
from nets.data.subwords import Subwords, train_bpe
from nets.data.synthetic import vocabularies
from nets.data.tokenizers import pad, target_mask
from nets.errors import UserError, about, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parallel(Dataset):
    """Any text and its translation: two files, of which line k of one translates that of the other.

    Files are UTF-8, and packed where their names end in .gz. The vocabulary is one of subwords for
    both languages, trained on the training text alone, and kept with a run. A batch holds

        inputs  [B, W] int32, the source, then 0
        lengths [B] int32, subwords of it
        targets [B, W + 1] int32, the target, then 0
        mask    [B, W + 1] float32, 1 for the target and the 0 that ends it

    and in an evaluation "references" [B, R] int32, all of the target, however long, then 0.

    Of the targets 0 is the symbol before the first, and the one that ends them. W is max_length;
    with `widths`, pairs of like length come together while training, and W is the smallest width
    that holds them. `metadata` tells how many positions short sentences leave unused where W is
    max_length.

    A training pair with a sentence above max_length is left out. In an evaluation all pairs stay,
    in their order; what is above max_length is cut off. Characters that the training text lacks
    become the symbol 1. `metadata` counts these pairs and symbols.

    Every training pair comes exactly once per epoch, in an order drawn anew for each. `widths` have
    50 batches of that order at a time, be it across epochs, sorted by length then, and shuffled as
    whole batches.

    Attributes:
        folder: what the names of files are relative to.
        source: file of the sentences to train on, one per line.
        target: file of their translations.
        validation_source: the same for validation. None means no such split.
        validation_target: their translations.
        test_source: the same for the test. None means no such split.
        test_target: their translations.
        vocab_size: subwords, with the end and the unknown.
        max_length: maximum of subwords in a sentence.
        widths: other widths, rising and below max_length, that a training batch may have; each is
            compiled when it first comes.
        batch_size: pairs in a training batch.
        eval_batch_size: pairs in a batch of an evaluation.
    """

    folder: str = "."
    source: str | None = None
    target: str | None = None
    validation_source: str | None = None
    validation_target: str | None = None
    test_source: str | None = None
    test_target: str | None = None
    vocab_size: int = 8000
    max_length: int = 40
    widths: tuple[int, ...] = ()
    batch_size: int = 64
    eval_batch_size: int = 250

    def __post_init__(self) -> None:
        check_range(self, "max_length", "batch_size", "eval_batch_size", at_least=1)
        check_range(self, "vocab_size", at_least=3)
        buckets.check_widths(self.widths, self.max_length)
        for fields in _FILES.values():
            check_together(self, fields, "its translation")

    def train(self, seed: int) -> Batches:
        rows = self._corpus().rows["train"]
        n = len(rows["inputs"])
        check_fits(self, n, f"training pairs of at most {self.max_length} subwords")
        longest = np.maximum(rows["lengths"], (rows["targets"] > 0).sum(1))
        widths = (*self.widths, self.max_length)

        ordered = buckets.training_rows(seed, self.batch_size, longest, self.widths)

        def batch(i: int) -> dict[str, np.ndarray]:
            chosen = ordered(i)
            width = buckets.width_of(widths, longest[chosen])
            targets = rows["targets"][chosen, : width + 1]
            return {
                "inputs": rows["inputs"][chosen, :width],
                "lengths": rows["lengths"][chosen],
                "targets": targets,
                "mask": target_mask(targets),
            }

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        self.check_split(split, "train")
        arrays = self._corpus().rows[split]

        def batch(rows: np.ndarray) -> dict[str, np.ndarray]:
            chosen = {name: array[rows] for name, array in arrays.items()}
            return chosen | {"mask": target_mask(chosen["targets"])}

        return padded(len(arrays["inputs"]), self.eval_batch_size, batch)

    def tokenizer(self, metadata: dict[str, Any]) -> Subwords:
        """The subwords of both languages."""
        model = base64.b64decode(metadata["subwords"])
        return Subwords(tuple(metadata["input_symbols"]), model)

    def splits(self) -> tuple[str, ...]:
        return tuple(split for split in _FILES if split != "train" and self._paths()[split])

    def spec(self) -> Spec:
        b, most, ids = self.batch_size, self.max_length, np.dtype(np.int32)
        arrays = {
            "inputs": ((b, most), ids),
            "lengths": ((b,), ids),
            "targets": ((b, most + 1), ids),
            "mask": ((b, most + 1), np.dtype(np.float32)),
        }
        return Spec(arrays, {"vocab_size": self.vocab_size, "num_classes": self.vocab_size})

    def metadata(self) -> dict[str, Any]:
        """vocab_size and num_classes, input_symbols and output_symbols (the same), subwords (their
        model in base64), digest, shapes (of training batches, at most), and by split: sizes, long
        (pairs with a sentence above max_length), unknown (symbols that are) and filled (the share
        of the positions of inputs and targets that hold a symbol).

        Raises:
            UserError: no files are given; one cannot be read, is empty or has an empty line; two
                have not as many lines; vocab_size does not fit; sentencepiece is not installed.
        """
        corpus = self._corpus()
        subwords = corpus.tokenizer
        return {
            **vocabularies(subwords.vocabulary, subwords.vocabulary),
            "subwords": base64.b64encode(subwords.model).decode(),
            "digest": corpus.digest,
            "train_examples": len(corpus.rows["train"]["inputs"]),
            "shapes": len(self.widths) + 1,
            "sizes": {split: len(rows["inputs"]) for split, rows in corpus.rows.items()},
            **corpus.counts,
        }

    def _paths(self) -> dict[str, tuple[str, str] | None]:
        """The two files of each split, None where they are not given."""
        folder = Path(self.folder).expanduser()
        paths = {split: [getattr(self, f) for f in files] for split, files in _FILES.items()}
        return {
            split: None if None in names else tuple(str(folder / name) for name in names)
            for split, names in paths.items()
        }

    def _corpus(self) -> "Pairs":
        paths = self._paths()
        if paths["train"] is None:
            raise UserError(
                "there is no text: give source and target, files of one sentence per line."
            )
        return _corpus(tuple(paths.items()), self.vocab_size, self.max_length)


_FILES = {
    "train": ("source", "target"),
    "validation": ("validation_source", "validation_target"),
    "test": ("test_source", "test_target"),
}


class Pairs(NamedTuple):
    """An encoded parallel text, by split."""

    tokenizer: Subwords
    rows: dict[str, dict[str, np.ndarray]]  # inputs, lengths, targets, references
    counts: dict[str, dict[str, float]]  # long, unknown and filled
    digest: str


@functools.lru_cache(maxsize=2)
def _corpus(paths: tuple, vocab_size: int, max_length: int) -> Pairs:
    texts = {split: _pair(_FILES[split], files) for split, files in paths if files is not None}
    lines = [line for side in texts["train"] for line in side]
    subwords = train_bpe(lines, vocab_size)
    digest = hashlib.blake2b(subwords.model, digest_size=16)
    encoded = {
        split: [[subwords.encode_lossy(line) for line in side] for side in text]
        for split, text in texts.items()
    }
    references = (targets for split, (_, targets) in encoded.items() if split != "train")
    longest = max(map(len, itertools.chain(*references)), default=0)
    rows, counts = {}, {"long": {}, "unknown": {}, "filled": {}}
    for split, sides in encoded.items():
        pairs = list(zip(*sides, strict=True))
        fitting = [pair for pair in pairs if max(map(len, pair)) <= max_length]
        used = fitting if split == "train" else pairs
        inputs = pad([source for source, _ in used], max_length)
        targets = pad([target[:max_length] for _, target in used], max_length + 1)
        lengths = (inputs > 0).sum(1, dtype=np.int32)
        rows[split] = {"inputs": inputs, "lengths": lengths, "targets": targets}
        if split != "train":
            rows[split]["references"] = pad([target for _, target in used], longest)
        symbols = np.concatenate([inputs, targets], axis=1)
        counts["long"][split] = len(pairs) - len(fitting)
        counts["unknown"][split] = int((symbols == 1).sum())
        counts["filled"][split] = float((symbols > 0).mean()) if symbols.size else 0.0
        digest.update(f"\0{split} {symbols.shape}\0".encode() + symbols.tobytes())
    return Pairs(subwords, rows, counts, digest.hexdigest())


def _pair(fields: tuple[str, str], paths: tuple[str, str]) -> list[list[str]]:
    """The lines of two files."""
    one, other = (f"{field}={path}" for field, path in zip(fields, paths, strict=True))
    lines = [_lines(one, paths[0]), _lines(other, paths[1])]
    n, m = map(len, lines)
    if n != m:
        raise UserError(
            f"{one} has {n} lines and {other} has {m}; line k of one is to be the translation of "
            "line k of the other."
        )
    return lines


def _lines(setting: str, path: str) -> list[str]:
    text = corpora.read(Path(path).expanduser(), setting)
    if not text.strip():
        raise about(setting, "is empty.")
    lines = [line.strip() for line in text.removesuffix("\n").split("\n")]
    if "" in lines:
        raise about(setting, f"has an empty line, {lines.index('') + 1}; each must be a sentence.")
    return lines
