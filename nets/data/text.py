"""Text as characters: contiguous streams, cut into segments for truncated backpropagation."""

import dataclasses
import functools
import hashlib
from typing import Any, Literal, NamedTuple

import grain
import numpy as np

from nets.data import corpora
from nets.errors import UserError

ENDLESS = 1 << 40
_CODES = 0x110000  # Unicode code points


@dataclasses.dataclass(frozen=True)
class Text:
    """A text for a character language model.

    Batches hold "inputs" and "targets" [B, T] int32, the targets being the characters that follow,
    and "reset" [B] bool: True where a row begins its stream, so that no carry goes into it. Row b
    of batch i goes on where row b of batch i - 1 ended. Those of an evaluation also hold "mask"
    [B, T] float32.

    Attributes:
        name: "python" (embedded: prose documentation and source of Python's standard library,
            about 5 MB), or "tiny_shakespeare" (TFDS, prepared as array_record; without a test
            split).
        data_dir: folder of the TFDS sets; none is TFDS's own, ~/tensorflow_datasets.
        path: any UTF-8 file; is taken instead of `name`.
        batch_size: streams that the training text is cut into, side by side.
        length: characters in a segment.
        eval_batch_size: streams that the text of an evaluation is cut into.
        validation: share of the text for validation, where the set has no split of its own.
        test: share of the text for the test, where the set has no split of its own.
    """

    name: Literal["python", "tiny_shakespeare"] = "python"
    data_dir: str | None = None
    path: str | None = None
    batch_size: int = 32
    length: int = 64
    eval_batch_size: int = 32
    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self):
        for field in ("batch_size", "length", "eval_batch_size"):
            if getattr(self, field) < 1:
                raise UserError(
                    f"--data.{field}={getattr(self, field)} is not possible; 1 is the least."
                )
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):
            raise UserError(
                f"--data.validation={self.validation} and --data.test={self.test} are not "
                "possible; they are shares from 0 on that leave some text to train on."
            )
        if self.name not in ("python", "tiny_shakespeare"):
            raise UserError(f"--data.name={self.name}: valid are python, tiny_shakespeare.")

    def train(self, seed: int) -> grain.MapDataset:
        """The training batches; element i is segment i modulo the segments of an epoch.

        The order is the text's own, whatever the seed. The last characters, fewer than a segment
        for each row, are left out.

        Raises:
            UserError: the text is too short for one segment of each stream.
        """
        del seed
        ids, b, t = self._corpus().ids["train"], self.batch_size, self.length
        targets = max(len(ids) - 1, 0)
        stream = targets // b
        segments = stream // t
        if not segments:
            fits = [f"--data.batch_size={targets // t}"] * (targets >= t)
            fits += [f"--data.length={stream}"] * (targets >= b)
            raise UserError(
                f"the training text has {len(ids)} characters, and --data.batch_size={b} times "
                f"--data.length={t} needs {b * t + 1}; "
                f"{' or '.join(fits) or 'neither alone'} would fit."
            )
        starts = stream * np.arange(b)[:, None] + np.arange(t + 1)  # [B, T + 1]

        def batch(i: int) -> dict[str, np.ndarray]:
            segment = int(i) % segments
            window = ids[starts + segment * t].astype(np.int32)
            return {
                "inputs": window[:, :-1],
                "targets": window[:, 1:],
                "reset": np.full(b, segment == 0),
            }

        return grain.MapDataset.range(ENDLESS).map(batch)

    def evaluate(self, split: str) -> grain.MapDataset:
        """The text of a split, every character but its first once a target."""
        if split not in self.splits():
            raise UserError(
                f"the text has no split {split}; it has {', '.join(self.splits()) or 'train only'}."
            )
        ids, b, t = self._corpus().ids[split], self.eval_batch_size, self.length
        targets = len(ids) - 1
        if targets < 1:
            raise UserError(f"the {split} text has {len(ids)} characters; 2 is the least.")
        stream = -(-targets // b)

        def batch(i: int) -> dict[str, np.ndarray]:
            within = int(i) * t + np.arange(t)
            place = stream * np.arange(b)[:, None] + within  # [B, T]
            real = (within < stream) & (place < targets)
            place = np.where(real, place, 0)
            return {
                "inputs": ids[place].astype(np.int32),
                "targets": ids[place + 1].astype(np.int32),
                "reset": np.full(b, int(i) == 0),
                "mask": real.astype(np.float32),
            }

        return grain.MapDataset.range(-(-stream // t)).map(batch)

    def splits(self) -> tuple[str, ...]:
        if self.path is None and self.name == "tiny_shakespeare":
            return ("validation",)
        return ("validation",) * (self.validation > 0) + ("test",) * (self.test > 0)

    def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        segment = ((self.batch_size, self.length), np.dtype(np.int32))
        reset = ((self.batch_size,), np.dtype(bool))
        return {"inputs": segment, "targets": segment, "reset": reset}

    def facts(self) -> dict[str, Any]:
        """vocab_size, vocabulary (character k of it has the id k), digest, sizes in characters."""
        corpus = self._corpus()
        return {
            "vocab_size": len(corpus.vocabulary),
            "vocabulary": corpus.vocabulary,
            "digest": corpus.digest,
            "sizes": {split: len(corpus.ids[split]) for split in ("train", *self.splits())},
        }

    @property
    def read_threads(self) -> int:
        """Threads that making batches keeps busy."""
        return 1

    def _corpus(self) -> "Corpus":
        return _corpus(self.name, self.data_dir, self.path, self.validation, self.test)


class Corpus(NamedTuple):
    """An encoded text; the vocabulary is the sorted set of the characters of all splits."""

    vocabulary: str
    ids: dict[str, np.ndarray]  # of the smallest type that holds them
    digest: str


def encode(vocabulary: str, text: str) -> np.ndarray:
    """The ids [N] int32 of a text's characters.

    Raises:
        UserError: the text has characters that the vocabulary lacks.
    """
    table = np.full(_CODES, -1, np.int32)
    table[_codes(vocabulary)] = np.arange(len(vocabulary))
    ids = table[_codes(text)]
    if (ids < 0).any():
        unknown = "".join(sorted(set(text) - set(vocabulary)))
        raise UserError(f"the text has {unknown!r}, which the vocabulary lacks: {vocabulary!r}.")
    return ids


def decode(vocabulary: str, ids: np.ndarray) -> str:
    """The text whose characters have these ids [N]."""
    return "".join(vocabulary[i] for i in np.asarray(ids).tolist())


@functools.lru_cache(maxsize=2)
def _corpus(
    name: str, data_dir: str | None, path: str | None, validation: float, test: float
) -> Corpus:
    if path is not None:
        texts = corpora.file(path, validation, test)
    elif name == "tiny_shakespeare":
        texts = corpora.tiny_shakespeare(data_dir)
    else:
        texts = corpora.python(validation, test)
    present = np.zeros(_CODES, bool)
    for text in texts.values():
        present[_codes(text)] = True
    codes = np.flatnonzero(present)
    vocabulary = "".join(map(chr, codes))
    small = np.min_scalar_type(max(len(vocabulary) - 1, 0))
    digest = hashlib.blake2b(vocabulary.encode(), digest_size=16)
    ids = {}
    for split, text in texts.items():
        ids[split] = encode(vocabulary, text).astype(small)
        digest.update(f"\0{split} {len(text)}\0".encode())
        digest.update(ids[split])
    return Corpus(vocabulary, ids, digest.hexdigest())


def _codes(text: str) -> np.ndarray:
    """The code points [N] of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
