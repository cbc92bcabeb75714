"""Base of generated problems."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nets.data.dataset import Batches, Dataset, Spec, padded
from nets.data.tokenizers import Characters, Tokenizer
from nets.errors import check_range

Batch = dict[str, np.ndarray]
_STREAMS = {"train": 0, "validation": 1, "test": 2}  # of random numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generated(Dataset):
    """Base of generated problems, each of which says how rows are drawn.

    Batches hold arrays, most often "inputs" and "targets", whose first axis is that of the rows,
    those of an evaluation also "mask" [B] or, where a problem gives weights to steps, [B, T]
    float32.
    Training batch i is drawn from (seed, i); the two evaluation sets are always the same.

    Attributes:
        batch_size: rows in a training batch.
        eval_batch_size: rows in a batch of an evaluation.
        eval_size: rows in each of the two evaluation sets.
    """

    batch_size: int = 64
    eval_batch_size: int = 250
    eval_size: int = 1000

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "eval_batch_size", "eval_size", at_least=1)

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        """That many rows of a split."""
        raise NotImplementedError

    def curriculum(self, i: int) -> "Generated":
        """The problem that training batch i is drawn from; of a curriculum, another."""
        return self

    def extra_metadata(self) -> dict[str, Any]:
        """The metadata of this problem alone."""
        return {}

    def train(self, seed: int) -> Batches:
        def batch(i: int) -> Batch:
            rng = np.random.default_rng((_STREAMS["train"], seed, i))
            return self.curriculum(i).draw(rng, self.batch_size, "train")

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        """The set "validation" or "test"; the last batch is padded."""
        self.check_split(split)
        arrays = self._whole(split)

        def batch(rows: np.ndarray) -> Batch:
            return {name: array[rows] for name, array in arrays.items()}

        return padded(self.eval_size, self.eval_batch_size, batch)

    def splits(self) -> tuple[str, ...]:
        return ("validation", "test")

    def tokenizer(self, metadata: dict[str, Any]) -> Tokenizer | None:
        """Characters, where the metadata have `vocabularies`."""
        symbols = metadata.get("input_symbols")
        return None if symbols is None else Characters(tuple(symbols))

    def target_tokenizer(self, metadata: dict[str, Any]) -> Tokenizer | None:
        symbols = metadata.get("output_symbols")
        return None if symbols is None else Characters(tuple(symbols))

    def spec(self) -> Spec:
        row = self.draw(np.random.default_rng(0), 1, "train")
        return Spec({k: ((self.batch_size, *a.shape[1:]), a.dtype) for k, a in row.items()})

    def metadata(self) -> dict[str, Any]:
        """digest (of the validation set), and what a problem adds: vocab_size and num_classes, the
        numbers of symbols of inputs and targets, and how they are written."""
        digest = hashlib.blake2b(digest_size=16)
        for name, rows in sorted(self._whole("validation").items()):
            digest.update(f"\0{name} {rows.shape} {rows.dtype}\0".encode() + rows.tobytes())
        return {"digest": digest.hexdigest(), **self.extra_metadata()}

    def _whole(self, split: str) -> Batch:
        return self.draw(np.random.default_rng(_STREAMS[split]), self.eval_size, split)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratedExamples(Generated):
    """Base of generated problems of which each example has a generator of its own.

    Example k of training is a pure function of (seed, k), whatever the size of batches; batch i
    holds the examples from i batch_size on. Example k of an evaluation set is always the same.
    """

    def examples(self, rngs: Sequence[np.random.Generator], split: str) -> Batch:
        """One row of a split from each generator."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        return self.examples(rng.spawn(rows), split)

    def train(self, seed: int) -> Batches:
        def batch(i: int) -> Batch:
            indices = range(i * self.batch_size, (i + 1) * self.batch_size)
            return self.examples([generator(seed, k) for k in indices], "train")

        return Batches(batch)


def generator(seed: int, index: int) -> np.random.Generator:
    """The random numbers of a training example."""
    root = _STREAMS["train"], seed
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=(index,)))


def held_out(
    size: int, eval_size: int, rng: np.random.Generator, rows: int, split: str
) -> np.ndarray:
    """Indices [N] in a list of that size, those of no split ever in another.

    Those of training are `rows` drawn by rng; those of an evaluation all of its eval_size.
    """
    order = np.random.default_rng(0).permutation(size)
    if split == "train":
        return order[2 * eval_size :][rng.integers(0, size - 2 * eval_size, rows)]
    return order[:eval_size] if split == "validation" else order[eval_size : 2 * eval_size]


def vocabularies(inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, Any]:
    """The numbers of symbols of inputs and of targets, and their names."""
    return {
        "vocab_size": len(inputs),
        "num_classes": len(outputs),
        "input_symbols": list(inputs),
        "output_symbols": list(outputs),
    }
