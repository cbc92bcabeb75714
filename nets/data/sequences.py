"""Problems over sequences, generated as they are met."""

import dataclasses
import hashlib
import math
from typing import Any

import grain
import numpy as np

from nets.data.images import ENDLESS
from nets.data.numerals import numbers
from nets.errors import UserError

Batch = dict[str, np.ndarray]
_STREAMS = {"train": 0, "validation": 1, "test": 2}  # of random numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generated:
    """What the generated problems have in common: a problem says how rows are drawn.

    Batches hold "inputs" and "targets", whose first axis is that of the rows, those of an
    evaluation also "mask" [B] or, where a problem gives weights to steps, [B, T] float32.
    Training batch i is drawn from (seed, i); the two evaluation sets are always the same.

    Attributes:
        batch_size: sequences in a training batch.
        eval_batch_size: sequences in a batch of an evaluation.
        eval_size: sequences in each of the two evaluation sets.
    """

    batch_size: int = 64
    eval_batch_size: int = 250
    eval_size: int = 1000

    def __post_init__(self):
        _at_least(self, 1, "batch_size", "eval_batch_size", "eval_size")

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        """That many sequences of a split."""
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """What this problem adds to the facts."""
        return {}

    def train(self, seed: int) -> grain.MapDataset:
        """The training batches; element i is the batch of step i."""

        def batch(i: int) -> Batch:
            rng = np.random.default_rng((_STREAMS["train"], seed, int(i)))
            return self.draw(rng, self.batch_size, "train")

        return grain.MapDataset.range(ENDLESS).map(batch)

    def evaluate(self, split: str) -> grain.MapDataset:
        """The set "validation" or "test"; the last batch is padded."""
        if split not in self.splits():
            raise UserError(f"there is no split {split}; there are validation, test.")
        rows = self._whole(split)

        def batch(i: int) -> Batch:
            places = int(i) * self.eval_batch_size + np.arange(self.eval_batch_size)
            real = places < self.eval_size
            found = {k: a[np.where(real, places, 0)] for k, a in rows.items()}
            mask = found.get("mask", np.ones(len(real), np.float32))
            found["mask"] = mask * real.reshape(-1, *[1] * (mask.ndim - 1))
            return found

        return grain.MapDataset.range(-(-self.eval_size // self.eval_batch_size)).map(batch)

    def splits(self) -> tuple[str, ...]:
        return ("validation", "test")

    def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        row = self.draw(np.random.default_rng(0), 1, "train")
        return {k: ((self.batch_size, *a.shape[1:]), a.dtype) for k, a in row.items()}

    def facts(self) -> dict[str, Any]:
        """digest (of the validation set), and what a problem adds: vocab_size and num_classes, the
        numbers of symbols of inputs and targets, and how they are written."""
        digest = hashlib.blake2b(digest_size=16)
        for name, rows in sorted(self._whole("validation").items()):
            digest.update(f"\0{name} {rows.shape} {rows.dtype}\0".encode() + rows.tobytes())
        return {"digest": digest.hexdigest(), **self.about()}

    @property
    def read_threads(self) -> int:
        """Threads that making batches keeps busy."""
        return 1

    def _whole(self, split: str) -> Batch:
        return self.draw(np.random.default_rng(_STREAMS[split]), self.eval_size, split)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adding(Generated):
    """The sum of two marked numbers of a long sequence (Hochreiter and Schmidhuber 1997, task 4).

    In the form of Le et al. 2015: "inputs" [B, T, 2] float32 are numbers, uniform in [0, 1], and
    marks, 1 at one step of each half and 0 elsewhere; "targets" [B, 1] are the sums of the two
    marked numbers. The answer 1, whatever the sequence, has a mean squared error of 1/6 (0.1667);
    published as 0.1767.

    Attributes:
        batch_size: sequences in a training batch.
        eval_batch_size: sequences in a batch of an evaluation.
        eval_size: sequences in each of the two evaluation sets.
        length: steps T.
    """

    length: int = 200

    def __post_init__(self):
        super().__post_init__()
        _at_least(self, 2, "length")

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        half, row = self.length // 2, np.arange(rows)
        inputs = np.zeros((rows, self.length, 2), np.float32)
        inputs[..., 0] = rng.random((rows, self.length), np.float32)
        inputs[row, rng.integers(0, half, rows), 1] = 1
        inputs[row, rng.integers(half, self.length, rows), 1] = 1
        return {"inputs": inputs, "targets": inputs.prod(-1).sum(-1, keepdims=True)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyMemory(Generated):
    """Symbols to be said again after a long pause (Hochreiter and Schmidhuber 1997).

    In the form of Bai et al. 2018 (after Arjovsky et al. 2016), T = delay + 2 span steps: "inputs"
    [B, T] int32 are `span` symbols, blanks (0), and the go sign at the last span + 1 steps;
    "targets" [B, T] are blanks, and the symbols again at the last `span` steps. All steps count.
    Without memory the best is span ln(symbols) / T nats a step.

    Attributes:
        batch_size: sequences in a training batch.
        eval_batch_size: sequences in a batch of an evaluation.
        eval_size: sequences in each of the two evaluation sets.
        delay: steps from the end of the symbols to their beginning in the targets.
        symbols: number of different symbols.
        span: number of symbols to remember.
    """

    delay: int = 1000
    symbols: int = 8
    span: int = 10

    def __post_init__(self):
        super().__post_init__()
        _at_least(self, 1, "delay", "symbols", "span")

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        inputs = np.zeros((rows, self.delay + 2 * self.span), np.int32)
        targets = np.zeros_like(inputs)
        said = rng.integers(1, self.symbols + 1, (rows, self.span))
        inputs[:, : self.span] = targets[:, -self.span :] = said
        inputs[:, -self.span - 1 :] = self.symbols + 1
        return {"inputs": inputs, "targets": targets}

    def about(self) -> dict[str, Any]:
        written = ["·", *_written(self.symbols)]
        loss = self.span * math.log(self.symbols) / (self.delay + 2 * self.span)
        return {**_symbols([*written, "?"], written), "memoryless_loss": loss}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recall(Generated):
    """The first symbol of a sequence, asked for at its end: how far a memory reaches.

    "inputs" [B, T] int32, T = distance + 1, are a symbol (0, 1, ...), distractors (the numbers
    after those) and a question mark, the greatest number. "targets" [B, T] are the symbol at every
    step; "mask" [B, T], in training too, has only the last step count. The minimal time lag of
    Hochreiter and Schmidhuber 1997, experiment 2, is like this.

    Attributes:
        batch_size: sequences in a training batch.
        eval_batch_size: sequences in a batch of an evaluation.
        eval_size: sequences in each of the two evaluation sets.
        distance: steps from the symbol to the question.
        symbols: number of different symbols.
        distractors: number of different distractors.
    """

    distance: int = 200
    symbols: int = 8
    distractors: int = 8

    def __post_init__(self):
        super().__post_init__()
        _at_least(self, 1, "distance", "distractors")
        _at_least(self, 2, "symbols")

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        question = self.symbols + self.distractors
        inputs = rng.integers(self.symbols, question, (rows, self.distance + 1), np.int32)
        inputs[:, 0] = rng.integers(0, self.symbols, rows)
        inputs[:, -1] = question
        mask = np.zeros(inputs.shape, np.float32)
        mask[:, -1] = 1
        targets = np.repeat(inputs[:, :1], inputs.shape[1], axis=1)
        return {"inputs": inputs, "targets": targets, "mask": mask}

    def about(self) -> dict[str, Any]:
        symbols = _written(self.symbols)
        shown = [*symbols, *map(str.lower, _written(self.distractors)), "?"]
        return _symbols(shown, symbols)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Brackets(Generated):
    """How many brackets are open, at every step.

    "inputs" [B, T] int32 are letters (0), opening (1) and closing (2) brackets, at random but so
    that the number of open ones stays in 0 to `depth`; "targets" [B, T] are that number after each
    step.

    Attributes:
        batch_size: sequences in a training batch.
        eval_batch_size: sequences in a batch of an evaluation.
        eval_size: sequences in each of the two evaluation sets.
        length: steps T.
        depth: greatest number of open brackets.
    """

    length: int = 60
    depth: int = 5

    def __post_init__(self):
        super().__post_init__()
        _at_least(self, 1, "length", "depth")

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        steps = rng.choice([0, 1, -1], (self.length, rows), p=[0.2, 0.4, 0.4])
        depths, level = np.zeros_like(steps), np.zeros(rows, int)
        for t, step in enumerate(steps):
            level = depths[t] = np.clip(level + step, 0, self.depth)
        moved = np.diff(depths, axis=0, prepend=0)
        inputs = np.where(moved < 0, 2, moved).T.astype(np.int32)
        return {"inputs": inputs, "targets": depths.T.astype(np.int32)}

    def about(self) -> dict[str, Any]:
        return _symbols(["x", "(", ")"], [str(k) for k in range(self.depth + 1)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumberWords(Generated):
    """Numbers in English words, to be written in figures: "four hundred and seven" is 407.

    "inputs" [B, S] int32 are the letters, "targets" [B, U] the figures, each then 0 to its end; of
    the targets the first 0, the end, counts too ("mask" [B, U], in training too). No number of an
    evaluation is ever met in training.

    Attributes:
        batch_size: sequences in a training batch.
        eval_batch_size: sequences in a batch of an evaluation.
        eval_size: numbers in each of the two evaluation sets.
        greatest: numbers go from 0 to this.
    """

    greatest: int = 9999

    def __post_init__(self):
        super().__post_init__()
        if not 2 * self.eval_size <= self.greatest <= 999_999:
            raise UserError(
                f"--data.greatest={self.greatest} is not possible; from {2 * self.eval_size}, "
                f"twice --data.eval_size={self.eval_size}, to 999999 is valid."
            )

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        inputs, targets, _ = numbers(self.greatest)
        order = np.random.default_rng(0).permutation(self.greatest + 1)
        n = self.eval_size
        if split == "train":
            chosen = order[2 * n :][rng.integers(0, len(order) - 2 * n, rows)]
        else:
            chosen = order[:n] if split == "validation" else order[n : 2 * n]
        targets = targets[chosen]
        mask = np.pad(targets[:, :-1] > 0, ((0, 0), (1, 0)), constant_values=True)
        return {"inputs": inputs[chosen], "targets": targets, "mask": mask.astype(np.float32)}

    def about(self) -> dict[str, Any]:
        return _symbols(["", *numbers(self.greatest)[2]], ["", *"0123456789"])


def _symbols(inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    """How many symbols there are of inputs and of targets, and how they are written."""
    return {
        "vocab_size": len(inputs),
        "num_classes": len(outputs),
        "input_symbols": inputs,
        "output_symbols": outputs,
    }


def _written(symbols: int) -> list[str]:
    """How so many symbols are written: as letters while there are enough."""
    return [chr(ord("A") + k) if symbols <= 26 else str(k) for k in range(symbols)]


def _at_least(data: Any, least: int, *fields: str) -> None:
    for field in fields:
        if getattr(data, field) < least:
            raise UserError(
                f"--data.{field}={getattr(data, field)} is not possible; {least} is the least."
            )
