"""The protocol of a data set: where batches come from."""

import abc
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nets.data.tokenizers import Tokenizer
from nets.errors import UserError

Batch = dict[str, np.ndarray]


class Spec(NamedTuple):
    """All that is known without reading the data.

    Attributes:
        arrays: shape and type of each array of a training batch.
        metadata: what `metadata` says too.
    """

    arrays: dict[str, tuple[tuple[int, ...], np.dtype]]
    metadata: dict[str, Any] = {}


class Input(NamedTuple):
    """An input of one's own, for a trained model (`launch.py predict`).

    Attributes:
        batch: a batch of one row, as the model reads it; without targets.
        source: what it was made of: of an image "image" [H, W, C] uint8, as its file has it, and
            "matrix" [3, 3], which takes its positions (x, y, 1) in pixels to those of an image of
            "size" [2], height and width, that the model reads; of a sentence its "words" [T]; of a
            question about an image both, and "unknown", the words that the model does not know.
    """

    batch: Batch
    source: Batch


@dataclasses.dataclass(frozen=True)
class Batches(Sequence):
    """A sequence of batches, each made when it is requested.

    Attributes:
        make: makes batch i; thread-safe.
        length: number of batches; without end for those of training.
    """

    make: Callable[[int], Batch]
    length: int = 1 << 40

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Batch:
        if not 0 <= i < self.length:
            raise IndexError(f"batch {i} of {self.length}")
        return self.make(int(i))

    def map(self, change: Callable[[Batch], Batch]) -> "Batches":
        """The batches, each changed."""
        return Batches(lambda i: change(self.make(i)), self.length)


@dataclasses.dataclass(frozen=True)
class Dataset(abc.ABC):
    """Batches as dicts of numpy arrays, a pure function of (seed, step).

    A data set has the fields `batch_size` and `eval_batch_size`.
    """

    input_suffixes: ClassVar[tuple[str, ...]] = ()
    """Endings of the files that `load_input` reads; none where it reads none."""

    reads_prompts: ClassVar[bool] = False
    """Whether `read_prompt` reads text."""

    reads_questions: ClassVar[bool] = False
    """Whether an input is a file and a question about it, which `load_question` reads."""

    @abc.abstractmethod
    def train(self, seed: int) -> Sequence[Batch]:
        """The training batches; element i is the batch of step i.

        Raises:
            UserError: there are fewer rows than a batch holds, or what `metadata` says.
        """

    @abc.abstractmethod
    def evaluate(self, split: str) -> Sequence[Batch]:
        """All batches of a split; the last is padded and "mask" says so.

        Many sets have the split "train" here too, without augmentation (`Experiment.eval_train`).

        Raises:
            UserError: there is no such split.
        """

    @abc.abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The evaluation splits that there are, of "validation" and "test"."""

    @abc.abstractmethod
    def spec(self) -> Spec:
        """All that is known without reading the data."""

    @abc.abstractmethod
    def metadata(self) -> dict[str, Any]:
        """All that is known after reading (num_classes, vocabulary, digest, ...), as JSON.

        "shapes" is the most shapes that training batches have, where it is more than one.

        Raises:
            UserError: the data is missing or not as it should be.
        """

    def tokenizer(self, metadata: dict[str, Any]) -> Tokenizer | None:
        """Turns text into inputs and back, by the metadata of a run. None means: no text."""
        return None

    def target_tokenizer(self, metadata: dict[str, Any]) -> Tokenizer | None:
        """The same of targets."""
        return self.tokenizer(metadata)

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """The input in a file of one's own, made ready as by an evaluation of a run.

        Args:
            path: the file.
            metadata: those of the run.

        Raises:
            UserError: it cannot be read; such data reads no files.
        """
        raise UserError(f"{type(self).__name__} reads no inputs from files, got {path}.")

    def read_prompt(self, text: str, metadata: dict[str, Any]) -> Input:
        """The input that a text is, made ready as `load_input`.

        Raises:
            UserError: it is empty or too long; such data has no text.
        """
        raise UserError(f"{type(self).__name__} reads no text, got {text!r}.", "prompt")

    def load_question(self, path: Path, text: str, metadata: dict[str, Any]) -> Input:
        """The input that a file and a question about it are, made ready as `load_input`.

        Raises:
            UserError: the file cannot be read; the question is empty or too long, or has words that
                the model does not know; such data has no questions.
        """
        raise UserError(f"{type(self).__name__} reads no questions, got {text!r}.", "prompt")

    @property
    def read_threads(self) -> int:
        """Threads in which batches are made, ahead of the step."""
        return 1

    def check_split(self, split: str, *also: str) -> None:
        """Refuses a split that is not one of an evaluation or of `also`.

        Raises:
            UserError: it is none of them; names those that there are.
        """
        if split not in (*self.splits(), *also):
            valid = ", ".join(self.splits()) or "train only"
            raise UserError(f"{type(self).__name__} has no split {split}; it has {valid}.")


def check_metadata(data: Dataset, metadata: dict[str, Any]) -> None:
    """Refuses metadata without a digest, by which a resume knows the data.

    Raises:
        UserError: there is none.
    """
    if "digest" not in metadata:
        raise UserError(
            f"{type(data).__name__}.metadata() must have a digest, a text that changes with the "
            f"data, got {', '.join(sorted(metadata)) or 'nothing'}."
        )


def check_batch(data: Dataset, batch: Batch) -> None:
    """Compares a training batch with what `spec` says of all: names, types, rows and rank.

    Raises:
        UserError: they differ; names the class and the array.
    """
    kind, spec = type(data).__name__, data.spec().arrays
    if spec.keys() != batch.keys():
        raise UserError(
            f"{kind}.spec() names {', '.join(sorted(spec))}, and a batch has "
            f"{', '.join(sorted(batch))}."
        )
    for name, (shape, dtype) in spec.items():
        array = batch[name]
        if (array.dtype, array.shape[:1], array.ndim) != (dtype, shape[:1], len(shape)):
            raise UserError(
                f"{kind}.spec() says that {name} is {np.dtype(dtype).name}{list(shape)}, and a "
                f"batch has {array.dtype.name}{list(array.shape)}."
            )


@contextlib.contextmanager
def shape_errors(data: Dataset, batch: Batch) -> Iterator[None]:
    """Tells an error of the model in one line where a batch has other shapes than `spec` says."""
    try:
        yield
    except Exception as error:
        for name, (shape, _) in data.spec().arrays.items():
            if (other := batch[name].shape[1:]) != shape[1:]:
                raise UserError(
                    f"{type(data).__name__}.spec() says that {name} has rows of {list(shape[1:])}, "
                    f"and a batch has {list(other)}: {str(error).partition('. (')[0]}."
                ) from error
        raise


def padded(n: int, size: int, make: Callable[[np.ndarray], Batch]) -> Batches:
    """The batches of an evaluation: n rows in their order, the last batch filled up with row 0.

    Args:
        n: number of rows.
        size: rows in a batch.
        make: the batch of rows [size]; where it has a "mask", that is kept for rows that count.

    Returns:
        batches whose "mask", [size] or as `make` has it, is 0 where a row only fills up.
    """

    def batch(i: int) -> Batch:
        rows, real = padded_rows(n, size, i)
        arrays = make(rows)
        mask = arrays.get("mask", np.ones(size, np.float32))
        return arrays | {"mask": mask * real.reshape(-1, *[1] * (mask.ndim - 1))}

    return Batches(batch, -(-n // size))


def padded_rows(n: int, size: int, i: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows [size] of batch i of n rows in their order, 0 after the last; and which count."""
    rows = i * size + np.arange(size)
    real = rows < n
    return np.where(real, rows, 0), real


def shuffled(seed: int, n: int, size: int, i: int) -> np.ndarray:
    """The rows [size] of training batch i: n rows, once an epoch, in an order drawn for each."""
    epochs, within = np.divmod(i * size + np.arange(size), n)
    rows = np.empty_like(within)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        rows[here] = _permutation(seed, int(epoch), n)[within[here]]
    return rows


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n)
