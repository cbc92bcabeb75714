"""Words of a counting language: letters that come equally often, one after the other."""

import dataclasses
from typing import Any

import numpy as np

from nets.data.sequences import vocabularies
from nets.data.synthetic import Batch, Generated
from nets.errors import check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counting(Generated):
    """The words a^n b^n, or of more letters a^n b^n c^n and so on, symbol by symbol.

    "inputs" [B, T] int32 are a mark (0) and the letters (1, 2, ...) of a word, "targets" [B, T]
    what comes next: the letters, and the mark at the end. Rows of training are words of a random n
    from 1 to `max_count`, and "mask" [B, T] float32 has all of their steps count. Rows of an
    evaluation have n = 1, 2, ... in turn, up to `max_count`, in the test up to `max_test_count`,
    and only steps whose target is certain count: from the second b on (Joulin and Mikolov 2015,
    section 5.1). Beyond their words rows are marks.

    Attributes:
        letters: number of different letters.
        max_count: maximum of n in training.
        max_test_count: maximum of n in the test.
    """

    eval_size: int = 60
    letters: int = 2
    max_count: int = 20
    max_test_count: int = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "letters", at_least=2, at_most=26)
        check_range(self, "max_count", "max_test_count", at_least=1)

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        longest = self.max_test_count if split == "test" else self.max_count
        if split == "train":
            counts = rng.integers(1, longest + 1, rows)
        else:
            counts = 1 + np.arange(rows) % longest
        step, n = np.arange(self.letters * longest + 2), counts[:, None]
        symbols = (-(-step // n)).astype(np.int32)  # the mark at step 0, then n of each letter
        symbols[symbols > self.letters] = 0
        target = step[None, 1:]
        counted = (target <= self.letters * n + 1) & ((split == "train") | (target >= n + 2))
        return {
            "inputs": symbols[:, :-1],
            "targets": symbols[:, 1:],
            "mask": counted.astype(np.float32),
        }

    def extra_metadata(self) -> dict[str, Any]:
        """The symbols, and train_steps, those of the longest words of training."""
        symbols = [".", *(chr(ord("a") + k) for k in range(self.letters))]
        longest = {"train_steps": self.letters * self.max_count + 1}
        return vocabularies(symbols, symbols) | longest
