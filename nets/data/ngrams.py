"""Bits drawn from random n-grams: how well the next one can be predicted."""

import dataclasses

import numpy as np

from nets.data.algorithms import BitProblem, Size
from nets.data.synthetic import Batch
from nets.errors import check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class NGrams(BitProblem):
    """Each sequence has an n-gram model of its own, to be learned while it is read.

    Graves, Wayne and Danihelka 2014, section 4.4: the probability that a bit is 1 after each of the
    2^(order - 1) contexts is drawn from Beta(1/2, 1/2). "inputs" [B, length - 1, 1], padded as
    `BitProblem` says, are the bits, "targets" those after them; the first order - 1 bits are not
    predicted. "optimal" [B] float32 are the bits that the best estimator needs for a sequence,
    (N_1 + 1/2) / (N_0 + N_1 + 1) from how often 0 and 1 came after the context (equation 10;
    Murphy 2012).

    Attributes:
        length: bits of a sequence.
        order: n of the n-grams.
    """

    length: int = 200
    order: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "order", at_least=2, at_most=16)
        check_range(self, "length", at_least=self.order)

    def size(self, rng: np.random.Generator) -> Size:
        return ()

    def longest(self) -> Size:
        return ()

    def example(self, rng: np.random.Generator, size: Size) -> tuple[np.ndarray, np.ndarray]:
        context = self.order - 1
        bits, _ = self._drawn(rng, 1)
        return bits[0, :-1, None], bits[0, context:, None]

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        context = self.order - 1
        bits, optimal = self._drawn(rng, rows)
        examples = [(row[:-1, None], row[context:, None]) for row in bits]
        return self.arrays(examples) | {"optimal": optimal.astype(np.float32)}

    def spec(self):
        spec = super().spec()
        optimal = {"optimal": ((self.batch_size,), np.dtype(np.float32))}
        return spec._replace(arrays=spec.arrays | optimal)

    def _drawn(self, rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Bits [rows, length], and those that the best estimator needs, [rows]."""
        context, row = self.order - 1, np.arange(rows)
        table = rng.beta(0.5, 0.5, (rows, 2**context))
        bits = np.zeros((rows, self.length), int)
        bits[:, :context] = rng.integers(0, 2, (rows, context))
        chance, counts = rng.random((self.length, rows)), np.full((rows, 2**context, 2), 0.5)
        code, cost = bits[:, :context] @ 2 ** np.arange(context)[::-1], np.zeros(rows)
        for t in range(context, self.length):
            bits[:, t] = chance[t] < table[row, code]
            seen = counts[row, code]
            cost -= np.log2(seen[row, bits[:, t]] / seen.sum(1))
            counts[row, code, bits[:, t]] += 1
            code = (2 * code + bits[:, t]) % 2**context
        return bits, cost
