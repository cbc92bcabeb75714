"""Piano rolls: which of 88 keys sound in each frame of a piece."""

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.data import canons
from nets.data.dataset import Batches, Dataset, Spec
from nets.data.holdout import holdout
from nets.data.music_files import KEYS, Pieces, check_readable, read_mat, read_midi_folder
from nets.errors import UserError, about, check_choice, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class PianoRolls(Dataset):
    """Pieces as streams of frames: batch i is segment i of `batch_size` streams.

    A .mat file or a folder of MIDI files by `path` (`nets.data.music_files`), or generated canons
    (`nets.data.canons`). A batch holds

        inputs  [B, T, 88] float32, frames of 0 and 1
        targets [B, T, 88] float32, the frames after them
        reset   [B, T] bool, where a piece begins, or a training stream
        mask    [B, T] float32, 0 after a piece's last frame and where there is none

    Before each piece stands a silent frame, whose target is the first frame. It counts in training,
    so that a model can begin a piece; it does not in an evaluation, which predicts every frame but
    the first, as that of Bai et al. 2018. All batches have one shape. In training pieces are
    joined, in an order drawn for every epoch, and cut into streams; no frame is padding. In an
    evaluation streams are of whole pieces, and `metadata` tells the share of the positions that are
    "filled".

    Attributes:
        path: a .mat file or a folder of MIDI files. None means the generated set.
        name: the generated set: canon.
        frames_per_beat: frames of a quarter note of a MIDI file.
        transpose: in training, keys by which a piece is moved up or down, drawn for each epoch from
            0 to this as far as its notes allow.
        validation: share of the pieces that is held out where there is no such split.
        test: the same for the test.
        length: frames T of a segment.
        batch_size: streams in a training batch.
        eval_batch_size: streams in a batch of an evaluation.
    """

    path: str | None = None
    name: str = "canon"
    frames_per_beat: int = 4
    transpose: int = 0
    validation: float = 0.1
    test: float = 0.1
    length: int = 100
    batch_size: int = 16
    eval_batch_size: int = 16

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "eval_batch_size", "length", at_least=1)
        check_range(self, "frames_per_beat", at_least=1)
        check_range(self, "transpose", at_least=0, at_most=KEYS)
        check_range(self, "validation", "test", at_least=0, below=1)
        check_choice(self, "name", ("canon",))

    def train(self, seed: int) -> Batches:
        pieces, b, t = self._music().pieces["train"], self.batch_size, self.length
        frames = sum(len(piece) + 1 for piece in pieces) - 1
        stream = frames // b
        segments = stream // t
        if not segments:
            raise UserError(
                f"the training pieces have {frames} frames, and batch_size={b} times length={t} "
                f"needs {b * t}."
            )
        starts = stream * np.arange(b)[:, None] + np.arange(t)  # [B, T]

        def batch(i: int) -> dict[str, np.ndarray]:
            epoch, segment = divmod(i, segments)
            roll, first = _epoch(self, seed, epoch)
            place = starts + segment * t
            reset = first[place]
            reset[:, 0] |= segment == 0
            return {
                "inputs": roll[place].astype(np.float32),
                "targets": roll[place + 1].astype(np.float32),
                "reset": reset,
                "mask": 1 - first[place + 1].astype(np.float32),
            }

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        self.check_split(split, "train")
        b, t = self.eval_batch_size, self.length
        streams = _balanced(self._music().pieces[split], b)
        length = max(map(_length, streams))
        segments = -(-(length - 1) // t)
        room = segments * t + 1
        roll, first = np.zeros((b, room, KEYS), np.uint8), np.ones((b, room), bool)
        for row, stream in enumerate(streams):
            joined, begins = _joined(stream)
            roll[row, : len(joined)], first[row, : len(joined)] = joined, begins
        counts = np.ones((b, room - 1), np.float32)
        counts[first[:, 1:] | first[:, :-1]] = 0  # at a piece's end, and before its first frame

        def batch(i: int) -> dict[str, np.ndarray]:
            here = slice(i * t, i * t + t)
            after = slice(here.start + 1, here.stop + 1)
            return {
                "inputs": roll[:, here].astype(np.float32),
                "targets": roll[:, after].astype(np.float32),
                "reset": first[:, here],
                "mask": counts[:, here],
            }

        return Batches(batch, segments)

    def splits(self) -> tuple[str, ...]:
        try:
            present = self._music().pieces
        except UserError:  # told by `metadata`
            present = ("validation", "test")
        return tuple(split for split in ("validation", "test") if split in present)

    def spec(self) -> Spec:
        b, t, float32 = self.batch_size, self.length, np.dtype(np.float32)
        frames = ((b, t, KEYS), float32)
        flags = {"reset": ((b, t), np.dtype(bool)), "mask": ((b, t), float32)}
        return Spec({"inputs": frames, "targets": frames} | flags, {"keys": KEYS})

    def metadata(self) -> dict[str, Any]:
        """keys, frames_per_beat, digest; by split pieces, frames and filled; and of the pieces to
        train on by key the share of frames in which it sounds ("rates" [88]), and the shares of
        those after a frame in which it does ("stays") and does not ("starts").

        Raises:
            UserError: the file cannot be read, or has no notes.
        """
        music = self._music()
        counts = sum(key_counts(piece[:-1], piece[1:]) for piece in music.pieces["train"])
        on, off = counts[:2], counts[2:]  # [2, 88]: after it sounded, and after it did not
        frames = {split: sum(map(len, pieces)) for split, pieces in music.pieces.items()}
        return {
            "keys": KEYS,
            "frames_per_beat": canons.BEAT if self.path is None else self.frames_per_beat,
            "digest": music.digest,
            "pieces": {split: len(pieces) for split, pieces in music.pieces.items()},
            "frames": frames,
            "filled": {split: self._filled(split) for split in music.pieces},
            "rates": _share(on[0] + off[0], counts.sum(0)),
            "stays": _share(on[0], on.sum(0)),
            "starts": _share(off[0], off.sum(0)),
        }

    def _filled(self, split: str) -> float:
        pieces = self._music().pieces[split]
        longest = max(map(_length, _balanced(pieces, self.eval_batch_size)))
        segments = -(-(longest - 1) // self.length)
        return sum(len(p) - 1 for p in pieces) / (segments * self.length * self.eval_batch_size)

    def _music(self) -> "Music":
        return _music(self.path, self.frames_per_beat, self.validation, self.test)


def key_counts(frames: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How often each key sounds and does not, [4, 88]: after it did, sounds and not; after it did
    not, sounds and not."""
    before = [(a, b) for a in (frames, 1 - frames) for b in (after, 1 - after)]
    return np.stack([np.sum(a.astype(np.int64) * b, axis=0) for a, b in before])


def _share(count: np.ndarray, of: np.ndarray) -> list[float]:
    """Probabilities with one more of each (Laplace), so that none is 0."""
    return ((count + 1) / (of + 2)).tolist()


class Music(NamedTuple):
    """The pieces of each split."""

    pieces: Pieces
    digest: str


@functools.lru_cache(maxsize=2)
def _music(path: str | None, frames_per_beat: int, validation: float, test: float) -> Music:
    if path is None:
        sizes = {"train": 120, "validation": 15, "test": 15}
        pieces = {
            split: [canons.canon(np.random.default_rng((k, i))) for i in range(n)]
            for k, (split, n) in enumerate(sizes.items())
        }
    else:
        place, setting = Path(path).expanduser(), f"path={path}"
        check_readable(place)
        if place.is_dir():
            pieces = read_midi_folder(place, setting, frames_per_beat)
        else:
            pieces = read_mat(place, setting)
        pieces = {s: [p for p in rolls if len(p) > 1] for s, rolls in pieces.items()}
        pieces = {s: rolls for s, rolls in pieces.items() if rolls}
        if "train" not in pieces:
            raise about(setting, "has no piece of two frames or more to train on.")
        pieces = _held_out(_held_out(pieces, "validation", validation), "test", test)
    digest = hashlib.blake2b(digest_size=16)
    for split, rolls in sorted(pieces.items()):
        digest.update(f"\0{split} {[len(roll) for roll in rolls]}\0".encode())
        digest.update(np.packbits(np.concatenate(rolls)).tobytes())
    return Music(pieces, digest.hexdigest())


def _held_out(pieces: Pieces, split: str, share: float) -> Pieces:
    """The pieces with a share of those to train on as a split, where there is none of it."""
    part, rest = (
        [pieces["train"][i] for i in rows] for rows in holdout(len(pieces["train"]), share)
    )
    return pieces if split in pieces or not part else pieces | {split: part, "train": rest}


def _joined(pieces: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pieces one after the other, a silent frame before each; and where these frames are."""
    silent = np.zeros((1, KEYS), np.uint8)
    roll = np.concatenate([part for piece in pieces for part in (silent, piece)])
    first = np.zeros(len(roll), bool)
    first[np.cumsum([0] + [len(piece) + 1 for piece in pieces[:-1]])] = True
    return roll, first


def _length(stream: list[np.ndarray]) -> int:
    """Frames of a stream of pieces, with those before each."""
    return sum(len(piece) + 1 for piece in stream)


def _balanced(pieces: list[np.ndarray], count: int) -> list[list[np.ndarray]]:
    """At most so many streams of whole pieces, of about equal length: each piece, from the longest
    on, into the shortest stream."""
    streams: list[list[np.ndarray]] = [[] for _ in range(count)]
    for piece in sorted(pieces, key=len, reverse=True):
        min(streams, key=_length).append(piece)
    return [stream for stream in streams if stream]


@functools.lru_cache(maxsize=2)
def _epoch(data: PianoRolls, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """The frames of an epoch and where pieces begin."""
    rng, pieces = np.random.default_rng((seed, epoch)), data._music().pieces["train"]
    moved = [_transposed(pieces[i], data.transpose, rng) for i in rng.permutation(len(pieces))]
    return _joined(moved)


def _transposed(piece: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """A piece moved by at most so many keys, no note of it off the keyboard."""
    keys = np.flatnonzero(piece.any(0))
    if not most or not len(keys):
        return piece
    low, high = -min(most, int(keys[0])), min(most, KEYS - 1 - int(keys[-1]))
    return np.roll(piece, rng.integers(low, high + 1), axis=1)
