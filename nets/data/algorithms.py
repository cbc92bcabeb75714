"""Problems of a Turing machine: sequences of bits to be copied, recalled, predicted or sorted.

Those of Graves, Wayne and Danihelka 2014, section 4.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from nets.data.dataset import Batches, Spec, padded
from nets.data.synthetic import Batch, Generated
from nets.errors import UserError, check_range

Size = tuple[int, ...]
LONGER = 7
"""Sizes beyond those of training, at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BitProblem(Generated):
    """Base of problems whose answer is bits at the last steps.

    A batch holds

        inputs  [B, T, D] float32
        targets [B, T, K] float32, 0 or 1
        mask    [B, T] float32, 1 at the steps that are answered
        group   [B] int32, 0, or in the test the number from 1 of a size beyond those of training

    All rows of a training batch have one size, drawn for the batch; T is the number of its steps,
    rounded up to a multiple of `steps_multiple`, so that there are few shapes. Each row of an
    evaluation has a size of its own. The test also has `longer_rows` rows of each longer size.

    Attributes:
        steps_multiple: T is a multiple of this.
        longer_rows: rows of each longer size in the test.
    """

    steps_multiple: int = 8
    longer_rows: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "steps_multiple", "longer_rows", at_least=1)

    def size(self, rng: np.random.Generator) -> Size:
        """The size of a row, as training has them."""
        raise NotImplementedError

    def longest(self) -> Size:
        """The largest size of training."""
        raise NotImplementedError

    def example(self, rng: np.random.Generator, size: Size) -> tuple[np.ndarray, np.ndarray]:
        """Inputs [t, D] of a row of this size, and the targets [u, K] of its last u steps."""
        raise NotImplementedError

    def longer(self) -> dict[str, Size]:
        """Sizes beyond those of training, by name."""
        return {}

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        if split == "train":
            sizes = [self.size(rng)] * rows
        else:
            sizes = [self.size(rng) for _ in range(rows)]
        return self.arrays([self.example(rng, size) for size in sizes])

    def arrays(self, examples: list[tuple[np.ndarray, np.ndarray]], group: int = 0) -> Batch:
        """A batch of these examples: inputs [t, D] and the targets [u, K] of the last steps."""
        longest = max(len(inputs) for inputs, _ in examples)
        rows, steps = len(examples), -(-longest // self.steps_multiple) * self.steps_multiple
        (first, answer), mask = examples[0], np.zeros((rows, steps), np.float32)
        x = np.zeros((rows, steps, first.shape[1]), np.float32)
        y = np.zeros((rows, steps, answer.shape[1]), np.float32)
        for row, (inputs, targets) in enumerate(examples):
            end, begin = len(inputs), len(inputs) - len(targets)
            x[row, :end], y[row, begin:end], mask[row, begin:end] = inputs, targets, 1
        return {"inputs": x, "targets": y, "mask": mask, "group": np.full(rows, group, np.int32)}

    def evaluate(self, split: str) -> Batches:
        self.check_split(split)
        parts = [self._whole(split)]
        for group, size in enumerate(self.longer().values(), 1):
            rng = np.random.default_rng((len(parts), group))
            rows = [self.example(rng, size) for _ in range(self.longer_rows)]
            parts += [self.arrays(rows, group)] if split == "test" else []
        batches = [
            batch
            for arrays in parts
            for batch in padded(
                len(arrays["mask"]),
                self.eval_batch_size,
                lambda rows, arrays=arrays: {name: a[rows] for name, a in arrays.items()},
            )
        ]
        return Batches(lambda i: batches[i], len(batches))

    def spec(self) -> Spec:
        """The shapes of the largest batch."""
        row = self.arrays([self.example(np.random.default_rng(0), self.longest())])
        arrays = {k: ((self.batch_size, *a.shape[1:]), a.dtype) for k, a in row.items()}
        return Spec(arrays, self.extra_metadata())

    def extra_metadata(self) -> dict[str, Any]:
        """num_outputs K, and the names of the longer sizes."""
        _, targets = self.example(np.random.default_rng(0), self.longest())
        return {"num_outputs": targets.shape[1], "groups": list(self.longer())}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copy(BitProblem):
    """Vectors of random bits, to be repeated in their order (section 4.1).

    Inputs [2 L + 3, width + 2] are a mark of the beginning, in a channel of its own, L vectors, a
    mark of the end, in another, and blanks. The answer is the L vectors and, in a channel of its
    own, a mark of the end: width + 1 outputs at L + 1 steps. Bits without memory: 84 a sequence for
    8 bits and lengths 1 to 20, and those of the mark.

    Attributes:
        width: bits of a vector.
        max_length: lengths L are uniform from 1 to this.
        longer_lengths: lengths of the longer sizes.
    """

    width: int = 8
    max_length: int = 20
    longer_lengths: tuple[int, ...] = (30, 50, 120)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "width", "max_length", at_least=1)
        _check_longer(self.longer_lengths, "longer_lengths")

    def size(self, rng: np.random.Generator) -> Size:
        return (int(rng.integers(1, self.max_length + 1)),)

    def longest(self) -> Size:
        return (self.max_length,)

    def longer(self) -> dict[str, Size]:
        return {f"length_{n}": (n,) for n in self.longer_lengths}

    def example(self, rng: np.random.Generator, size: Size) -> tuple[np.ndarray, np.ndarray]:
        (length,) = size
        return _repeated(rng.integers(0, 2, (length, self.width)), 1, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepeatCopy(BitProblem):
    """Vectors of random bits, to be repeated several times (section 4.2).

    As `Copy`, but that the second mark is the number of times, with mean 0 and variance 1 over
    those of training. The answer has the vectors so many times, and the mark of the end.

    Attributes:
        width: bits of a vector.
        max_length: lengths L are uniform from 1 to this.
        max_repeats: so are the numbers of times.
        longer_length: length of one longer size, with `max_repeats`.
        longer_repeats: number of times of another, with `max_length`.
    """

    width: int = 6
    max_length: int = 10
    max_repeats: int = 10
    longer_length: int = 20
    longer_repeats: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "width", "max_length", at_least=1)
        check_range(self, "max_repeats", at_least=2)
        check_range(self, "longer_length", "longer_repeats", at_least=1)

    def size(self, rng: np.random.Generator) -> Size:
        length, repeats = rng.integers(1, (self.max_length + 1, self.max_repeats + 1))
        return int(length), int(repeats)

    def longest(self) -> Size:
        return self.max_length, self.max_repeats

    def longer(self) -> dict[str, Size]:
        sizes = (self.longer_length, self.max_repeats), (self.max_length, self.longer_repeats)
        return {f"{length}_times_{repeats}": (length, repeats) for length, repeats in sizes}

    def example(self, rng: np.random.Generator, size: Size) -> tuple[np.ndarray, np.ndarray]:
        length, repeats = size
        mean, variance = (self.max_repeats + 1) / 2, (self.max_repeats**2 - 1) / 12
        bits = rng.integers(0, 2, (length, self.width))
        return _repeated(bits, repeats, (repeats - mean) / math.sqrt(variance))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AssociativeRecall(BitProblem):
    """Items of several vectors, of which one is shown again: which came after it (section 4.3).

    Inputs are the items, before each a mark in a channel of its own, the item that is asked about
    between two marks in another, and blanks. The answer is the item that came next.

    Attributes:
        width: bits of a vector.
        item_length: vectors of an item.
        max_items: the numbers of items are uniform from 2 to this.
        longer_items: numbers of items of the longer sizes.
    """

    width: int = 6
    item_length: int = 3
    max_items: int = 6
    longer_items: tuple[int, ...] = (8, 12, 15)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "width", "item_length", at_least=1)
        check_range(self, "max_items", at_least=2)
        _check_longer(self.longer_items, "longer_items", 2)

    def size(self, rng: np.random.Generator) -> Size:
        return (int(rng.integers(2, self.max_items + 1)),)

    def longest(self) -> Size:
        return (self.max_items,)

    def longer(self) -> dict[str, Size]:
        return {f"items_{n}": (n,) for n in self.longer_items}

    def example(self, rng: np.random.Generator, size: Size) -> tuple[np.ndarray, np.ndarray]:
        (count,), n, d = size, self.item_length, self.width
        items = rng.integers(0, 2, (count, n, d))
        query = rng.integers(count - 1)
        x = np.zeros((count * (n + 1) + 2 * n + 2, d + 2))
        listed = x[: count * (n + 1)].reshape(count, n + 1, -1)
        listed[:, 0, d], listed[:, 1:, :d] = 1, items
        asked = x[count * (n + 1) :]
        asked[[0, n + 1], d + 1], asked[1 : n + 1, :d] = 1, items[query]
        return x, items[query + 1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrioritySort(BitProblem):
    """Vectors of random bits, each with a priority: those of the highest, in order (section 4.5).

    Inputs [count + 1 + kept, width + 2] are the vectors, beside each its priority, uniform from -1
    to 1, a mark of the end and blanks. The answer is `kept` vectors, the highest priority first.

    Attributes:
        width: bits of a vector.
        count: number of vectors.
        kept: number of vectors of the answer.
    """

    width: int = 8
    count: int = 20
    kept: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "width", "count", "kept", at_least=1)
        if self.kept > self.count:
            raise UserError(f"must be at most count={self.count}, got {self.kept}.", "kept")

    def size(self, rng: np.random.Generator) -> Size:
        return ()

    def longest(self) -> Size:
        return ()

    def example(self, rng: np.random.Generator, size: Size) -> tuple[np.ndarray, np.ndarray]:
        bits = rng.integers(0, 2, (self.count, self.width))
        priorities = rng.uniform(-1, 1, self.count)
        x = np.zeros((self.count + 1 + self.kept, self.width + 2))
        x[: self.count, : self.width], x[: self.count, self.width] = bits, priorities
        x[self.count, self.width + 1] = 1
        return x, bits[np.argsort(-priorities)[: self.kept]]


def _repeated(bits: np.ndarray, repeats: int, mark: float) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of vectors [L, width] that are to be repeated."""
    length, width = bits.shape
    x = np.zeros((length + 2 + length * repeats + 1, width + 2))
    x[0, width], x[1 : length + 1, :width], x[length + 1, width + 1] = 1, bits, mark
    y = np.zeros((length * repeats + 1, width + 1))
    y[:-1, :width], y[-1, width] = np.tile(bits, (repeats, 1)), 1
    return x, y


def _check_longer(values: tuple[int, ...], field: str, minimum: int = 1) -> None:
    if min(values, default=minimum) < minimum:
        raise UserError(f"must be at least {minimum}, got {min(values)}.", field)
    if len(values) > LONGER:
        raise UserError(f"must have at most {LONGER} values, got {len(values)}.", field)
