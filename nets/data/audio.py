"""Recorded sounds: what all sets of them share, and single words to classify."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nets.data import audio_files
from nets.data.audio_source import Recordings, recordings
from nets.data.buckets import training_rows, width_of
from nets.data.checks import check_fits
from nets.data.dataset import Batches, Dataset, Input, Spec, padded
from nets.errors import UserError, check_range

Batch = dict[str, np.ndarray]
STREAMS = {"train": 0, "validation": 1, "test": 2}  # of random numbers
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

    def labelled(self) -> Recordings:
        """The recordings, each with a label.

        Raises:
            UserError: one has none, or they cannot be read.
        """
        data = self.recordings()
        if "" in data.names:
            number = int(np.sum(data.labels == data.names.index("")))
            raise UserError(
                f"={self.path} has {number} recordings without a label: name files "
                "LABEL_SPEAKER_INDEX.wav, or put them into a folder for each label.",
                "path",
            )
        return data

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
            rng = np.random.default_rng((STREAMS["train"], seed, i))
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
            UserError: the recordings cannot be read, one has no label, or a split has none.
        """
        data = self.labelled()
        sizes = {split: len(data.rows(split)) for split in STREAMS}
        return {
            "num_classes": len(data.names),
            "class_names": list(data.names),
            "rate": self.rate,
            "train_examples": sizes["train"],
            "sizes": sizes,
            "shapes": len(self.seconds),
            "digest": data.digest,
        }


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
