"""Pen strokes: drawings and handwriting as sequences of points."""

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.data import stroke_letters
from nets.data.buckets import check_widths, training_rows, width_of
from nets.data.checks import check_fits
from nets.data.dataset import Batches, Dataset, Spec, padded
from nets.data.holdout import holdout
from nets.data.stroke_files import Drawings, read_iam, read_npz
from nets.data.tokenizers import UNKNOWN, Characters, by_frequency, pad
from nets.errors import UserError, check_choice, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strokes(Dataset):
    """Drawings of a pen, each a sequence of points (dx, dy, lifted), y downwards.

    A file by `path`, or generated handwriting (`nets.data.stroke_letters`). A batch holds

        inputs  [B, W, 2 + P] float32, each point's predecessor: zeros, then all but the last
        targets [B, W, 2 + P] float32, the points, then zeros
        mask    [B, W] float32, 1 for each point
        text    [B, U] int32, where drawings have texts: their characters, then 0 once at least

    A point is its offset from the point before, over `std`; then 1 where the pen is lifted after
    it; then, with `end`, 1 at the last point of a drawing. W is the smallest of `widths` and
    max_points that holds the batch, whose drawings are of like length while training
    (`nets.data.buckets`); those of an evaluation come from the shortest to the longest. In training
    a drawing above max_points is left out; in an evaluation it is cut off. `metadata` counts both.

    Attributes:
        path: an .npz file (`nets.data.stroke_files.read_npz`) or a folder of IAM-OnDB
            (`read_iam`). None means the generated set.
        name: the generated set: letters, words in a vector alphabet, with their texts.
        size: words of the generated set to train on.
        validation: share of the training drawings that is held out where a file has no such split.
        test: the same for the test.
        max_points: maximum of points in a drawing.
        widths: other widths, rising and below max_points, that a batch may have; each is compiled
            when it first comes.
        end: whether points have a bit that ends a drawing.
        symbols: characters that texts may have; others become "<unk>". None means those of the
            texts.
        std: what offsets are divided by. None means the standard deviation of those to train on,
            both axes and all points together.
        dequantise: width of uniform noise that is added to offsets, in units of the file: 1 for
            whole numbers, whose density would have no bound otherwise.
        stretch: in training each axis of a drawing is multiplied by a factor, uniform in
            [1 - stretch, 1 + stretch].
        batch_size: drawings in a training batch.
        eval_batch_size: drawings in a batch of an evaluation.
    """

    path: str | None = None
    name: str = "letters"
    size: int = 4000
    validation: float = 0.1
    test: float = 0.1
    max_points: int = 150
    widths: tuple[int, ...] = ()
    end: bool = False
    symbols: str | None = None
    std: float | None = None
    dequantise: float = 0.0
    stretch: float = 0.0
    batch_size: int = 32
    eval_batch_size: int = 100

    def __post_init__(self) -> None:
        check_range(self, "max_points", "size", "batch_size", "eval_batch_size", at_least=1)
        check_range(self, "validation", "test", "dequantise", at_least=0)
        check_range(self, "validation", "test", "stretch", at_least=0, below=1)
        check_range(self, "std", above=0)
        check_choice(self, "name", ("letters",))
        check_widths(self.widths, self.max_points, "max_points")

    def train(self, seed: int) -> Batches:
        part, lengths = self._split("train")
        rows = np.flatnonzero(lengths <= self.max_points)
        check_fits(self, len(rows), f"training drawings of at most {self.max_points} points")
        ordered = training_rows(seed, self.batch_size, lengths[rows], self.widths)

        def batch(i: int) -> dict[str, np.ndarray]:
            chosen = rows[ordered(i)]
            rng = np.random.default_rng((seed, i))
            factors = rng.uniform(1 - self.stretch, 1 + self.stretch, (len(chosen), 1, 2))
            return self._batch(part, lengths, chosen, rng, factors)

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        self.check_split(split, "train")
        part, lengths = self._split(split)

        order = np.argsort(lengths, kind="stable")

        def batch(rows: np.ndarray) -> dict[str, np.ndarray]:
            rng = np.random.default_rng((2**32, int(rows[0])))  # no seed of training
            return self._batch(part, lengths, order[rows], rng, np.ones((len(rows), 1, 2)))

        return padded(len(lengths), self.eval_batch_size, batch)

    def splits(self) -> tuple[str, ...]:
        if self.path is None:
            return ("validation", "test")
        try:
            present = self._source().parts
        except UserError:  # told by `metadata`
            present = ("validation", "test")
        return tuple(split for split in ("validation", "test") if split in present)

    def spec(self) -> Spec:
        b, w, float32 = self.batch_size, self.max_points, np.dtype(np.float32)
        points, metadata = ((b, w, 2 + self._pens), float32), {"pens": self._pens}
        arrays = {"inputs": points, "targets": points, "mask": ((b, w), float32)}
        symbols = self._symbols()
        if symbols is not None:
            arrays["text"] = ((b, self._text_width()), np.dtype(np.int32))
            metadata["vocab_size"] = len(symbols)
        return Spec(arrays, metadata)

    def metadata(self) -> dict[str, Any]:
        """pens, std, digest, train_examples; shapes, the number of widths; by split sizes, long
        (drawings above max_points) and filled (the share of the positions of its batches that are
        points); moments, the mean and the covariance of the offsets to train on, over std, and of
        each bit the mean; with texts vocab_size and input_symbols.

        Raises:
            UserError: the file cannot be read, or is not as it should be.
        """
        source, std = self._source(), self._std()
        lengths = source.lengths
        used = source.parts["train"].points
        drawings = [self._with_bits(points) for points in used if len(points) <= self.max_points]
        if not drawings:
            raise UserError(f"must hold a drawing to train on, the shortest has "
                            f"{lengths['train'].min()} points.", "max_points")  # fmt: skip
        points = np.concatenate(drawings).astype(np.float64)
        offsets, noise = points[:, :2] / std, self.dequantise**2 / 12 / std**2
        moments = {
            "mean": offsets.mean(0).tolist(),
            "covariance": (np.cov(offsets.T, ddof=0) + noise * np.eye(2)).tolist(),
            "bits": points[:, 2:].mean(0).tolist(),
        }
        symbols = self._symbols()
        named = {} if symbols is None else {
            "vocab_size": len(symbols), "input_symbols": list(symbols)
        }  # fmt: skip
        return {
            **named,
            "pens": self._pens,
            "std": std,
            "moments": moments,
            "digest": source.digest,
            "train_examples": len(drawings),
            "shapes": 1 + len(self.widths),
            "sizes": {split: len(n) for split, n in lengths.items()},
            "long": {split: int((n > self.max_points).sum()) for split, n in lengths.items()},
            "filled": {split: self._filled(split) for split in lengths},
        }

    def tokenizer(self, metadata: dict[str, Any]) -> Characters | None:
        """The characters of texts; None without texts."""
        symbols = metadata.get("input_symbols")
        return None if symbols is None else Characters(tuple(symbols))

    @property
    def _pens(self) -> int:
        return 1 + self.end

    def _source(self) -> "Source":
        return _source(self.path, self.name, self.size, self.validation, self.test)

    def _split(self, split: str) -> tuple[Drawings, np.ndarray]:
        source = self._source()
        return source.parts[split], source.lengths[split]

    def _symbols(self) -> tuple[str, ...] | None:
        """The characters of texts, the first that of padding; None where there are no texts."""
        if self.symbols is not None:
            return ("", UNKNOWN, *self.symbols)
        if self.path is None:
            return ("", *stroke_letters.ALPHABET)
        try:
            return self._source().characters
        except UserError:  # told by `metadata`
            return None

    def _text_width(self) -> int:
        """U, one more than the characters of the longest text."""
        try:
            return 1 + self._source().longest
        except UserError:
            return 1 + self.max_points // 10

    def _std(self) -> float:
        return self._source().std if self.std is None else self.std

    def _with_bits(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 2 + P], cut off at max_points."""
        if self.end:
            points = np.pad(points, ((0, 0), (0, 1)))
            points[-1, 3] = 1
        return points[: self.max_points]

    def _batch(
        self,
        part: Drawings,
        lengths: np.ndarray,
        rows: np.ndarray,
        rng: np.random.Generator,
        factors: np.ndarray,
    ) -> dict[str, np.ndarray]:
        width = width_of((*self.widths, self.max_points), lengths[rows])
        targets = np.zeros((len(rows), width, 2 + self._pens), np.float32)
        mask = np.zeros((len(rows), width), np.float32)
        for k, row in enumerate(rows):
            points = self._with_bits(part.points[row])[:width]
            targets[k, : len(points)], mask[k, : len(points)] = points, 1
        noise = self.dequantise * (rng.random((len(rows), width, 2)) - 0.5)
        targets[..., :2] = mask[..., None] * (targets[..., :2] * factors + noise) / self._std()
        inputs = np.pad(targets[:, :-1], ((0, 0), (1, 0), (0, 0)))
        batch = {"inputs": inputs, "targets": targets, "mask": mask}
        symbols = self._symbols()
        if symbols is None:
            return batch
        characters = Characters(symbols)
        texts = [characters.encode_lossy(part.texts[row]) for row in rows]
        return batch | {"text": pad(texts, self._text_width())}

    def _filled(self, split: str) -> float:
        """The share of the positions of an evaluation's batches that are points."""
        lengths = np.sort(self._split(split)[1])
        n, b, positions = len(lengths), self.eval_batch_size, 0
        for start in range(0, n, b):
            batch = lengths[start : start + b]
            positions += b * width_of((*self.widths, self.max_points), batch)
        return float(np.minimum(lengths, self.max_points).sum() / positions)


class Source(NamedTuple):
    """The drawings of each split.

    Attributes:
        parts: the drawings.
        lengths: the number of points of each, by split.
        std: the standard deviation of the offsets to train on.
        characters: those of the texts to train on, most frequent first, after "" and "<unk>"; None
            without texts.
        longest: characters of the longest text.
        digest: a text that changes with the drawings.
    """

    parts: dict[str, Drawings]
    lengths: dict[str, np.ndarray]
    std: float
    characters: tuple[str, ...] | None
    longest: int
    digest: str


@functools.lru_cache(maxsize=2)
def _source(path: str | None, name: str, size: int, validation: float, test: float) -> Source:
    if path is None:
        parts = stroke_letters.generated(size)
    else:
        file, setting = Path(path).expanduser(), f"path={path}"
        if not file.exists():
            raise UserError(f"={path}: no such file or folder.", "path")
        parts = (read_iam if file.is_dir() else read_npz)(file, setting)
        parts = _held_out(_held_out(parts, "validation", validation), "test", test)
    digest = hashlib.blake2b(digest_size=16)
    for split, part in sorted(parts.items()):
        digest.update(f"\0{split} {len(part.points)} {part.texts}\0".encode())
        digest.update(np.concatenate(part.points).tobytes())
    train, texts = parts["train"], [text for part in parts.values() for text in part.texts or ()]
    return Source(
        parts,
        {split: np.array([*map(len, part.points)]) for split, part in parts.items()},
        float(np.concatenate(train.points)[:, :2].std()),
        None if train.texts is None else by_frequency("".join(train.texts), ("", UNKNOWN)),
        max(map(len, texts), default=0),
        digest.hexdigest(),
    )


def _held_out(parts: dict[str, Drawings], split: str, share: float) -> dict[str, Drawings]:
    """The parts with a share of the training drawings as a split, where there is none of it."""
    part, rest = holdout(len(parts["train"].points), share)
    if split in parts or not part:
        return parts
    return parts | {split: parts["train"].taken(part), "train": parts["train"].taken(rest)}
