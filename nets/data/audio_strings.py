"""Strings of recorded words, to be transcribed."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nets.data.audio import (
    STREAMS,
    Audio,
    Batch,
    check_seconds,
    disturbed,
    padded_sounds,
    widths,
)
from nets.data.audio_source import Recordings
from nets.data.dataset import Batches, Spec, padded_rows
from nets.errors import UserError, check_range


class String(NamedTuple):
    """A string of words: its samples [N], labels [U] from 1, and the samples [U] where they end."""

    sound: np.ndarray
    labels: np.ndarray
    ends: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpokenStrings(Audio):
    """Strings of recorded words with pauses between them, to be transcribed.

    Batches hold "inputs" [B, N] float32, "lengths" [B] int32 (samples), and "targets" [B, U] int32,
    the labels plus 1, then 0; those of an evaluation also "ends" [B, U] int32, the samples at which
    the words end, and "mask" [B]. Training string j of batch i is
    a function of (seed, i, j), and the words of a string are of one speaker; those of an evaluation
    are always the same, made of that split's recordings alone. All strings of a training batch have
    as many words; N is the smallest of `seconds` that holds them, and words that the last one does
    not hold are left out.

    Attributes:
        seconds: rising lengths that a batch may have.
        words: least and most words of a string.
        pause: shortest and longest pause in seconds, also before and after.
        gain: maximum change of the loudness of a string, in dB.
        snr: lowest signal-to-noise ratio, in dB, of the white noise that is added to training
            strings; the highest is 40 dB above. None adds none.
        eval_size: strings in each of the two evaluation sets.
    """

    seconds: tuple[float, ...] = (2.0, 4.0)
    words: tuple[int, int] = (1, 5)
    pause: tuple[float, float] = (0.03, 0.3)
    gain: float = 6.0
    snr: float | None = 15.0
    eval_size: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seconds(self)
        check_range(self, "gain", at_least=0)
        check_range(self, "eval_size", at_least=1)
        for field, least in (("words", 1), ("pause", 0)):
            low, high = getattr(self, field)
            if not least <= low <= high:
                raise UserError(f"must rise from at least {least}, got {low},{high}.", field)

    def train(self, seed: int) -> Batches:
        data, rows = self.recordings(), self.recordings().rows("train")

        def batch(i: int) -> Batch:
            rng = np.random.default_rng((STREAMS["train"], seed, i))
            count = rng.integers(self.words[0], self.words[1] + 1)
            strings = [self._string(rng, data, rows, count) for _ in range(self.batch_size)]
            sounds = [disturbed(rng, sound, self.gain, self.snr) for sound, _, _ in strings]
            return self._batch(sounds, [labels for _, labels, _ in strings])

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        self.check_split(split)
        strings = _evaluated(self, split)

        def batch(i: int) -> Batch:
            rows, real = padded_rows(len(strings), self.eval_batch_size, i)
            sounds, labels, ends = zip(*(strings[row] for row in rows), strict=True)
            more = {"ends": self._symbols(ends), "mask": real.astype(np.float32)}
            return self._batch(list(sounds), list(labels)) | more

        return Batches(batch, -(-len(strings) // self.eval_batch_size))

    def _string(
        self, rng: np.random.Generator, data: Recordings, rows: np.ndarray, count: int
    ) -> String:
        """A string of that many words of one speaker."""
        speaker = data.speakers[rng.choice(rows)]
        chosen = rng.choice(rows[data.speakers[rows] == speaker], count)
        room = widths(self)[-1]
        parts, ends = [self._pause(rng)], []
        for row in chosen:
            after = self._pause(rng)
            if sum(map(len, parts)) + len(data.sounds[row]) + len(after) > room:
                break
            parts += [data.sounds[row], after]
            ends.append(sum(map(len, parts)) - len(after))
        labels = data.labels[chosen[: len(ends)]] + 1
        return String(np.concatenate(parts), labels, np.array(ends, np.int32))

    def _pause(self, rng: np.random.Generator) -> np.ndarray:
        return np.zeros(round(rng.uniform(*self.pause) * self.rate), np.float32)

    def _batch(self, sounds: list[np.ndarray], labels: list[np.ndarray]) -> Batch:
        inputs, lengths = padded_sounds(sounds, widths(self))
        return {"inputs": inputs, "lengths": lengths, "targets": self._symbols(labels)}

    def _symbols(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Numbers of unequal count as [B, U] int32, zeros behind."""
        padded_rows = np.zeros((len(rows), self.words[1]), np.int32)
        for row, ids in zip(padded_rows, rows, strict=True):
            row[: len(ids)] = ids
        return padded_rows

    def spec(self) -> Spec:
        b, ids = self.batch_size, np.dtype(np.int32)
        arrays = {
            "inputs": ((b, widths(self)[-1]), np.dtype(np.float32)),
            "lengths": ((b,), ids),
            "targets": ((b, self.words[1]), ids),
        }
        known = {"rate": self.rate}
        return Spec(arrays, known | {"num_classes": 11} if self.path is None else known)

    def metadata(self) -> dict[str, Any]:
        """num_classes (with the blank), class_names (without it), rate, sizes (recordings), shapes
        (how many a batch may have) and digest.

        Raises:
            UserError: the recordings cannot be read, one has no label, or a split has none.
        """
        data = self.labelled()
        return {
            "num_classes": len(data.names) + 1,
            "class_names": list(data.names),
            "rate": self.rate,
            "sizes": {split: len(data.rows(split)) for split in STREAMS},
            "shapes": len(self.seconds),
            "digest": data.digest,
        }


@functools.lru_cache(maxsize=4)
def _evaluated(data: SpokenStrings, split: str) -> list[String]:
    """The strings of an evaluation, by length."""
    rng, source = np.random.default_rng(STREAMS[split]), data.recordings()
    counts = rng.integers(data.words[0], data.words[1] + 1, data.eval_size)
    strings = [data._string(rng, source, source.rows(split), count) for count in counts]
    return sorted(strings, key=lambda string: len(string.sound))
