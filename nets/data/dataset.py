"""The protocol of a data set: where batches come from."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nets.data.tokenizers import Tokenizer

Batch = dict[str, np.ndarray]


class Spec(NamedTuple):
    """What is known without reading the data.

    Attributes:
        arrays: shape and type of each array of a training batch.
        metadata: what `metadata` says too.
    """

    arrays: dict[str, tuple[tuple[int, ...], np.dtype]]
    metadata: dict[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Dataset(abc.ABC):
    """Batches as dicts of numpy arrays, a pure function of (seed, step).

    A data set has the fields `batch_size` and `eval_batch_size`.
    """

    @abc.abstractmethod
    def train(self, seed: int) -> Sequence[Batch]:
        """The training batches; element i is the whole batch of step i."""

    @abc.abstractmethod
    def evaluate(self, split: str) -> Sequence[Batch]:
        """All batches of a split; the last is padded and "mask" says so."""

    @abc.abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The evaluation splits that there are, of "validation" and "test"."""

    @abc.abstractmethod
    def spec(self) -> Spec:
        """What is known without reading the data."""

    @abc.abstractmethod
    def metadata(self) -> dict[str, Any]:
        """What is known after reading (num_classes, vocabulary, digest, ...), as JSON.

        Raises:
            UserError: the data is missing or not as it should be.
        """

    def tokenizer(self, metadata: dict[str, Any]) -> Tokenizer | None:
        """Turns text into inputs and back, by the metadata of a run. None means: no text."""
        return None

    def target_tokenizer(self, metadata: dict[str, Any]) -> Tokenizer | None:
        """The same of targets."""
        return self.tokenizer(metadata)

    @property
    def read_threads(self) -> int:
        """Threads in which batches are made, ahead of the step."""
        return 1
