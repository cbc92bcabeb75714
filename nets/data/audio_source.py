"""Recordings with their labels, speakers and splits: from a folder, an archive, or generated."""

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nets.data import audio_generated, npz_files
from nets.data.audio_files import read_wav, resampled, to_float, wav_files
from nets.errors import UserError, about

SPLITS = ("train", "validation", "test")
NAME = re.compile(r"(?P<label>[^_]+)_(?P<speaker>[^_]+)_(?P<index>\d+)")
"""Names of files as the Free Spoken Digit Dataset has them: 7_jackson_32.wav."""


class Recordings(NamedTuple):
    """Recordings of words, or of anything that has a label.

    Attributes:
        sounds: of each its samples [N] (float32, full scale 1).
        labels: [R] int32.
        names: of the labels.
        speakers: [R] int32; zeros where they are unknown.
        speaker_names: of the speakers.
        split: [R] int32, index into `SPLITS`.
        digest: changes with the samples, labels and splits.
    """

    sounds: tuple[np.ndarray, ...]
    labels: np.ndarray
    names: tuple[str, ...]
    speakers: np.ndarray
    speaker_names: tuple[str, ...]
    split: np.ndarray
    digest: str

    def rows(self, split: str) -> np.ndarray:
        """Which recordings are of a split.

        Raises:
            UserError: none are.
        """
        rows = np.flatnonzero(self.split == SPLITS.index(split))
        if not len(rows):
            raise UserError(f"there is no recording for {split}.")
        return rows


@functools.lru_cache(maxsize=4)
def recordings(
    path: str | None,
    rate: int,
    *,
    resample: bool = False,
    test_speaker: str | None = None,
    labels: tuple[str, ...] | None = None,
    field: str = "path",
) -> Recordings:
    """The recordings of a folder or archive, or generated ones.

    A folder holds WAV files named LABEL_SPEAKER_INDEX.wav, or one folder for each label, itself or
    below train, validation and test. An archive has audio [S], offsets [R + 1], label, speaker and
    index [R] and speaker_names, or audio [R, N] alone.

    Of recordings with an index those of 0 to 4 are the test (as in the Free Spoken Digit Dataset),
    5 to 9 the validation, all others for training. Of recordings without, every ninth and tenth of
    a label are for validation and test; of an archive with folds, the last two folds. With
    `test_speaker` all of this speaker are the test, and nobody else.

    Args:
        path: the folder or archive. None means generated words.
        rate: samples per second.
        resample: whether files of another rate are resampled.
        test_speaker: name of a speaker.
        labels: in their order. None means those of the recordings, sorted.
        field: what the data set calls the path, for errors.

    Raises:
        UserError: there is no such file, folder or speaker, a recording has another label, or a
            file is not as it should be.
    """
    if path is None:
        sounds, ids, speakers, index = audio_generated.words(rate)
        names = tuple(map(str, range(10)))
        people = tuple(f"voice{k}" for k in range(audio_generated.VOICES))
        split = _by_index(index)
    else:
        root = Path(path).expanduser()
        try:
            read = _folder if root.is_dir() else _archive
            sounds, ids, names, speakers, people, split = read(root, rate, resample)
        except UserError as error:
            raise about(f"{field}={path}", f"cannot be used: {error}") from error
    if test_speaker is not None:
        if test_speaker not in people:
            raise UserError(f"must be one of {', '.join(people)}, got {test_speaker}.", _SPEAKER)
        split = np.where(split == SPLITS.index("test"), SPLITS.index("train"), split)
        split = np.where(speakers == people.index(test_speaker), SPLITS.index("test"), split)
    if labels is not None:
        if others := [name for name in names if name not in labels]:
            raise UserError(
                f"must have all of the recordings', got {','.join(labels)}; {path} has "
                f"{', '.join(others)} too.",
                "labels",
            )
        ids, names = np.array([labels.index(name) for name in names])[ids], labels
    digest = hashlib.blake2b(digest_size=16)
    for array in (*sounds, ids, split):
        digest.update(str(len(array)).encode() + np.ascontiguousarray(array).tobytes())
    arrays = (ids.astype(np.int32), names, speakers.astype(np.int32), people)
    return Recordings(tuple(sounds), *arrays, split.astype(np.int32), digest.hexdigest())


_SPEAKER = "held_out_speaker"


def _by_index(index: np.ndarray) -> np.ndarray:
    return np.where(index < 5, 2, np.where(index < 10, 1, 0))


def _folder(root: Path, rate: int, resample: bool) -> tuple:
    files = wav_files(root)
    sounds = [read_wav(file, rate, resample) for file in files]
    matches = [NAME.fullmatch(file.stem) for file in files]
    if all(matches):
        names, labels = _numbered([m["label"] for m in matches])
        people, speakers = _numbered([m["speaker"] for m in matches])
        split = _by_index(np.array([int(m["index"]) for m in matches]))
        return sounds, labels, names, speakers, people, split
    parts = [file.relative_to(root).parts[:-1] for file in files]
    whole = all(part and part[0] in SPLITS for part in parts)
    if whole:
        split = np.array([SPLITS.index(part[0]) for part in parts])
        parts = [part[1:] for part in parts]
    names, labels = _numbered(["/".join(part) for part in parts])
    if not whole:
        order = np.zeros(len(labels), int)  # the position of each among those of its label
        for k in range(len(names)):
            order[labels == k] = np.arange(np.sum(labels == k))
        split = np.choose(order % 10, [0] * 8 + [1, 2])
    return sounds, labels, names, np.zeros(len(files), int), ("",), split


def _archive(path: Path, rate: int, resample: bool) -> tuple:
    arrays = npz_files.read(path, str(path))
    if lacking := [name for name in ("audio", "label") if name not in arrays]:
        raise UserError(f"it lacks {', '.join(lacking)}; it has {', '.join(arrays) or 'nothing'}.")
    own = int(arrays.get("rate", 8000))
    if own != rate and not resample:
        raise UserError(f"it has {own} samples per second, not {rate}; set resample=true.")
    audio = to_float(arrays["audio"])
    if "offsets" in arrays:
        offsets = arrays["offsets"]
        sounds = [audio[a:b] for a, b in zip(offsets, offsets[1:], strict=False)]
    else:
        sounds = list(audio)
    if len(sounds) != len(arrays["label"]):
        raise UserError(f"it has {len(sounds)} recordings and {len(arrays['label'])} labels.")
    if own != rate:
        sounds = [resampled(sound, own, rate) for sound in sounds]
    labels = arrays["label"]
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise UserError(f"its labels must be integers from 0, got {labels.dtype}.")
    default = [str(k) for k in range(int(labels.max(initial=-1)) + 1)]
    names = tuple(map(str, arrays.get("label_names", default)))
    if len(names) < len(default):
        raise UserError(f"it has the label {len(default) - 1}, and {len(names)} label_names.")
    speakers = arrays.get("speaker", np.zeros(len(labels), int))
    people = tuple(map(str, arrays.get("speaker_names", ("",))))
    if "fold" in arrays:  # the highest two of the folds, which share no original recording
        fold = arrays["fold"]
        split = np.choose(np.clip(fold.max() - fold, 0, 2), [2, 1, 0])
    else:
        split = _by_index(arrays.get("index", np.arange(len(labels)) % 50))
    return sounds, labels, names, speakers, people, split


def _numbered(texts: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The different texts, sorted, and the number of each."""
    names = sorted(set(texts))
    return tuple(names), np.array([names.index(text) for text in texts])
