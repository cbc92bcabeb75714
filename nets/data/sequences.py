"""Problems over sequences, generated batch by batch."""

import dataclasses
import math
from typing import Any

import numpy as np

from nets.data.numerals import numbers
from nets.data.synthetic import Batch, Generated, held_out, vocabularies
from nets.data.tokenizers import target_mask
from nets.errors import UserError, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adding(Generated):
    """The sum of two marked numbers of a long sequence (Hochreiter and Schmidhuber 1997, task 4).

    In the form of Le et al. 2015: "inputs" [B, T, 2] float32 are numbers, uniform in [0, 1], and
    marks, 1 at one step of each half and 0 elsewhere; "targets" [B, 1] are the sums of the two
    marked numbers. The answer 1, whatever the sequence, has a mean squared error of 1/6 (0.1667);
    published as 0.1767.

    Attributes:
        length: steps T.
    """

    length: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "length", at_least=2)

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        half, row = self.length // 2, np.arange(rows)
        inputs = np.zeros((rows, self.length, 2), np.float32)
        inputs[..., 0] = rng.random((rows, self.length), np.float32)
        inputs[row, rng.integers(0, half, rows), 1] = 1
        inputs[row, rng.integers(half, self.length, rows), 1] = 1
        return {"inputs": inputs, "targets": inputs.prod(-1).sum(-1, keepdims=True)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyMemory(Generated):
    """Symbols to be repeated after a long pause (Hochreiter and Schmidhuber 1997).

    In the form of Bai et al. 2018 (after Arjovsky et al. 2016), T = delay + 2 span steps: "inputs"
    [B, T] int32 are `span` symbols, blanks (0), and the go sign at the last span + 1 steps;
    "targets" [B, T] are blanks, and the symbols again at the last `span` steps. All steps count.
    Without memory the best is span ln(symbols) / T nats a step.

    Attributes:
        delay: steps from the end of the symbols to their beginning in the targets.
        symbols: number of different symbols.
        span: number of symbols to remember.
        first_delay: delay of the first training batches, which then grows to `delay` (a
            curriculum: Bengio et al. 2009); None means `delay` from the first on.
            Evaluation is always with `delay`.
        first_batches: training batches before the delay begins to grow.
        grow_every: training batches after which it grows by half.
    """

    delay: int = 1000
    symbols: int = 8
    span: int = 10
    first_delay: int | None = None
    first_batches: int = 0
    grow_every: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "delay", "symbols", "span", "grow_every", at_least=1)
        check_range(self, "first_batches", at_least=0)
        if self.first_delay is not None and not 1 <= self.first_delay <= self.delay:
            raise UserError(
                f"must be from 1 to delay={self.delay}, got {self.first_delay}.", "first_delay"
            )

    def curriculum(self, i: int) -> "CopyMemory":
        if self.first_delay is None:
            return self
        grown = max(0, 1 + (i - self.first_batches) // self.grow_every)
        most = math.log(self.delay / self.first_delay, 1.5)
        delay = round(self.first_delay * 1.5 ** min(grown, most))
        return dataclasses.replace(self, delay=delay)

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        inputs = np.zeros((rows, self.delay + 2 * self.span), np.int32)
        targets = np.zeros_like(inputs)
        copied = rng.integers(1, self.symbols + 1, (rows, self.span))
        inputs[:, : self.span] = targets[:, -self.span :] = copied
        inputs[:, -self.span - 1 :] = self.symbols + 1
        return {"inputs": inputs, "targets": targets}

    def extra_metadata(self) -> dict[str, Any]:
        written = ["·", *_written(self.symbols)]
        loss = self.span * math.log(self.symbols) / (self.delay + 2 * self.span)
        return {**vocabularies([*written, "?"], written), "memoryless_loss": loss}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recall(Generated):
    """The first symbol of a sequence, the target at its end: how far a memory reaches.

    "inputs" [B, T] int32, T = distance + 1, are a symbol (0, 1, ...), distractors (the numbers
    after those) and a question mark, the highest number. "targets" [B, T] are the symbol at every
    step; "mask" [B, T], in training too, has only the last step count. The minimal time lag of
    Hochreiter and Schmidhuber 1997, experiment 2, is like this.

    Attributes:
        distance: steps from the symbol to the question.
        symbols: number of different symbols.
        distractors: number of different distractors.
    """

    distance: int = 200
    symbols: int = 8
    distractors: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "distance", "distractors", at_least=1)
        check_range(self, "symbols", at_least=2)

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        question = self.symbols + self.distractors
        inputs = rng.integers(self.symbols, question, (rows, self.distance + 1), np.int32)
        inputs[:, 0] = rng.integers(0, self.symbols, rows)
        inputs[:, -1] = question
        mask = np.zeros(inputs.shape, np.float32)
        mask[:, -1] = 1
        targets = np.repeat(inputs[:, :1], inputs.shape[1], axis=1)
        return {"inputs": inputs, "targets": targets, "mask": mask}

    def extra_metadata(self) -> dict[str, Any]:
        symbols = _written(self.symbols)
        return vocabularies([*symbols, *map(str.lower, _written(self.distractors)), "?"], symbols)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Brackets(Generated):
    """The number of open brackets, at every step.

    "inputs" [B, T] int32 are letters (0), opening (1) and closing (2) brackets, at random but so
    that the number of open ones stays in 0 to `depth`; "targets" [B, T] are that number after each
    step, or `ahead` steps later. "mask" [B, T], in training too, where some are later, has all
    steps count but the last `ahead`, for which inputs end before that number is known.

    Attributes:
        length: steps T.
        depth: maximum of open brackets.
        ahead: steps from an input to the one that its target is the number after.
    """

    length: int = 60
    depth: int = 5
    ahead: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "length", "depth", at_least=1)
        check_range(self, "ahead", at_least=0, below=self.length)

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        steps = rng.choice([0, 1, -1], (self.length, rows), p=[0.2, 0.4, 0.4])
        depths, level = np.zeros_like(steps), np.zeros(rows, int)
        for t, step in enumerate(steps):
            level = depths[t] = np.clip(level + step, 0, self.depth)
        moved = np.diff(depths, axis=0, prepend=0)
        inputs = np.where(moved < 0, 2, moved).T.astype(np.int32)
        targets = depths.T.astype(np.int32)
        if not self.ahead:
            return {"inputs": inputs, "targets": targets}
        mask = np.zeros(inputs.shape, np.float32)
        mask[:, : -self.ahead] = 1
        return {"inputs": inputs, "targets": np.roll(targets, -self.ahead, 1), "mask": mask}

    def extra_metadata(self) -> dict[str, Any]:
        return vocabularies(["x", "(", ")"], [str(k) for k in range(self.depth + 1)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumberWords(Generated):
    """Numbers in English words, to be written in figures: "four hundred and seven" is 407.

    "inputs" [B, S] int32 are the letters, "targets" [B, U] the figures, each then 0 to its end; of
    the targets the first 0, the end, counts too ("mask" [B, U], in training too). No number of an
    evaluation is ever in training.

    Attributes:
        maximum: numbers go from 0 to this.
    """

    maximum: int = 9999

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 * self.eval_size <= self.maximum <= 999_999:
            raise UserError(
                f"must be from {2 * self.eval_size}, twice eval_size, to 999999, got "
                f"{self.maximum}.",
                "maximum",
            )

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        inputs, targets, _ = numbers(self.maximum)
        chosen = held_out(self.maximum + 1, self.eval_size, rng, rows, split)
        targets = targets[chosen]
        return {"inputs": inputs[chosen], "targets": targets, "mask": target_mask(targets)}

    def extra_metadata(self) -> dict[str, Any]:
        return vocabularies(["", *numbers(self.maximum)[2]], ["", *"0123456789"])


def _written(symbols: int) -> list[str]:
    """The names of so many symbols: letters while there are enough."""
    return [chr(ord("A") + k) if symbols <= 26 else str(k) for k in range(symbols)]
