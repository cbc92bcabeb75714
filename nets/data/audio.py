"""Recorded sounds: words to classify, strings of words to transcribe."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nets.data import audio_files
from nets.data.audio_source import Recordings, recordings
from nets.data.buckets import training_rows, width_of
from nets.data.checks import check_fits
from nets.data.dataset import Batches, Dataset, Input, Spec, padded, padded_rows
from nets.errors import UserError, check_range

Batch = dict[str, np.ndarray]
_STREAMS = {"train": 0, "validation": 1, "test": 2}  # of random numbers
SHORTEST = 0.05  # seconds of a sound of one's own


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audio(Dataset):
    """Base of the sets of recorded sounds.

    Attributes:
        path: a folder of WAV files, named LABEL_SPEAKER_INDEX.wav or in one folder per label, or an
            .npz archive (`nets.data.audio_source.recordings`). None means generated sounds.
        rate: samples per second.
        resample: whether files of another rate are resampled.
        held_out_speaker: the speaker whose recordings are the test, and in no other split. None
            means the split of the files.
        labels: the labels in their order; a recording of another is refused. None means those of
            the recordings.
        batch_size: rows in a training batch.
        eval_batch_size: rows in a batch of an evaluation.
    """

    path: str | None = None
    rate: int = 8000
    resample: bool = False
    held_out_speaker: str | None = None
    labels: tuple[str, ...] | None = None
    batch_size: int = 32
    eval_batch_size: int = 50

    input_suffixes: ClassVar[tuple[str, ...]] = audio_files.SUFFIXES

    def __post_init__(self) -> None:
        check_range(self, "rate", "batch_size", "eval_batch_size", at_least=1)

    def recordings(self) -> Recordings:
        """The recordings; read once."""
        return recordings(
            self.path,
            self.rate,
            resample=self.resample,
            test_speaker=self.held_out_speaker,
            labels=self.labels,
        )

    def splits(self) -> tuple[str, ...]:
        return ("validation", "test")

    def load_input(self, path: Path, metadata: dict[str, Any]) -> Input:
        """The sound of a WAV file: "inputs" [1, N] and "lengths" [1]; as source "audio" [N] and
        "rate"."""
        sound = audio_files.read_wav(path, self.rate, self.resample)
        if len(sound) < SHORTEST * self.rate:
            raise UserError(
                f"{path} lasts {len(sound) / self.rate:.3f} s; at least {SHORTEST} s are needed."
            )
        batch = {"inputs": sound[None], "lengths": np.array([len(sound)], np.int32)}
        return Input(batch, {"audio": sound, "rate": np.array(self.rate)})


def widths(data: Any) -> tuple[int, ...]:
    """The samples that a batch may have."""
    return tuple(round(s * data.rate) for s in data.seconds)


def check_seconds(data: Any) -> None:
    """Refuses lengths in seconds that do not rise from above 0."""
    rising = (0, *data.seconds)
    if len(rising) < 2 or list(rising) != sorted(set(rising)):
        raise UserError(
            f"must rise from above 0, got {','.join(map(str, data.seconds))}.", "seconds"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpokenWords(Audio):
    """Single recordings and their labels.

    Batches hold "inputs" [B, N] float32, "lengths" [B] int32, the samples of each that are not
    padding, and "targets" [B] int32; those of an evaluation also "mask" [B]. Every recording comes
    once per epoch, in batches of like length; N is the smallest of `seconds` that holds the batch,
    so that as many shapes are compiled. What is longer than the last is cut off.

    In training each recording is made louder or softer, moved and slightly noisy, as a function of
    (seed, step).

    Attributes:
        seconds: rising lengths that a batch may have.
        gain: maximum change of the loudness of a training recording, in dB.
        snr: lowest signal-to-noise ratio, in dB, of the white noise that is added to training
            recordings; the highest is 40 dB above. None adds none.
    """

    seconds: tuple[float, ...] = (0.5, 1.0)
    gain: float = 6.0
    snr: float | None = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seconds(self)
        check_range(self, "gain", at_least=0)

    def train(self, seed: int) -> Batches:
        data = self.recordings()
        rows = data.rows("train")
        check_fits(self, len(rows), "training recordings")
        lengths = np.array([len(data.sounds[row]) for row in rows])
        ordered = training_rows(seed, self.batch_size, lengths, widths(self))

        def batch(i: int) -> Batch:
            chosen = rows[ordered(i)]
            rng = np.random.default_rng((_STREAMS["train"], seed, i))
            sounds = [disturbed(rng, data.sounds[row], self.gain, self.snr) for row in chosen]
            return self._batch(sounds, data.labels[chosen])

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        self.check_split(split, "train")
        data = self.recordings()
        rows = data.rows(split)
        rows = rows[np.argsort([len(data.sounds[row]) for row in rows], kind="stable")]

        def batch(chosen: np.ndarray) -> Batch:
            chosen = rows[chosen]
            return self._batch([data.sounds[row] for row in chosen], data.labels[chosen])

        return padded(len(rows), self.eval_batch_size, batch)

    def _batch(self, sounds: list[np.ndarray], labels: np.ndarray) -> Batch:
        inputs, lengths = padded_sounds(sounds, widths(self))
        return {"inputs": inputs, "lengths": lengths, "targets": labels}

    def spec(self) -> Spec:
        b, ids = self.batch_size, np.dtype(np.int32)
        arrays = {
            "inputs": ((b, widths(self)[-1]), np.dtype(np.float32)),
            "lengths": ((b,), ids),
            "targets": ((b,), ids),
        }
        known = {"num_classes": 10, "rate": self.rate} if self.path is None else {"rate": self.rate}
        return Spec(arrays, known)

    def metadata(self) -> dict[str, Any]:
        """num_classes, class_names, rate, train_examples, sizes, shapes (how many a batch may have)
        and digest.

        Raises:
            UserError: the recordings cannot be read, or a split has none.
        """
        data = self.recordings()
        sizes = {split: len(data.rows(split)) for split in _STREAMS}
        return {
            "num_classes": len(data.names),
            "class_names": list(data.names),
            "rate": self.rate,
            "train_examples": sizes["train"],
            "sizes": sizes,
            "shapes": len(self.seconds),
            "digest": data.digest,
        }


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
            rng = np.random.default_rng((_STREAMS["train"], seed, i))
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
            UserError: the recordings cannot be read, or a split has none.
        """
        data = self.recordings()
        return {
            "num_classes": len(data.names) + 1,
            "class_names": list(data.names),
            "rate": self.rate,
            "sizes": {split: len(data.rows(split)) for split in _STREAMS},
            "shapes": len(self.seconds),
            "digest": data.digest,
        }


@functools.lru_cache(maxsize=4)
def _evaluated(data: SpokenStrings, split: str) -> list[String]:
    """The strings of an evaluation, by length."""
    rng, source = np.random.default_rng(_STREAMS[split]), data.recordings()
    counts = rng.integers(data.words[0], data.words[1] + 1, data.eval_size)
    strings = [data._string(rng, source, source.rows(split), count) for count in counts]
    return sorted(strings, key=lambda string: len(string.sound))


def padded_sounds(
    sounds: Sequence[np.ndarray], widths: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Sounds as rows [B, N], zeros behind, N the smallest width that holds them; their lengths [B].

    What the last width does not hold is cut off.
    """
    lengths = np.array([len(sound) for sound in sounds], np.int32)
    rows = np.zeros((len(sounds), width_of(widths, lengths)), np.float32)
    lengths = np.minimum(lengths, rows.shape[1])
    for row, length, sound in zip(rows, lengths, sounds, strict=True):
        row[:length] = sound[:length]
    return rows, lengths


def disturbed(
    rng: np.random.Generator, sound: np.ndarray, gain: float, snr: float | None
) -> np.ndarray:
    """A sound made louder or softer by up to `gain` dB, with white noise `snr` to snr + 40 dB below
    it."""
    change, level, noise = rng.uniform(-gain, gain), rng.uniform(0, 40), rng.normal(size=len(sound))
    sound = sound * 10 ** (change / 20)
    if snr is not None:
        power = np.sqrt(np.mean(np.square(sound)))
        sound = sound + power * 10 ** (-(snr + level) / 20) * noise
    return sound.astype(np.float32)
