"""Piano rolls in files: MIDI, and the matrices of Boulanger-Lewandowski et al. 2012."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nets.errors import UserError, about, missing

KEYS, LOWEST = 88, 21  # of a piano, and the pitch of its lowest key, A0

Pieces = dict[str, list[np.ndarray]]
"""By split, pieces [T, 88] uint8 of 0 and 1."""

_LONGEST = 1_000_000  # frames of a piece, a day and more: what lasts longer is damaged
_MATRICES = {"train": "traindata", "validation": "validdata", "test": "testdata"}


def read_mat(path: Path, setting: str) -> Pieces:
    """The pieces of a .mat file with traindata, validdata and testdata, arrays of [T, 88] each.

    Raises:
        UserError: it cannot be read, lacks one of them, or a piece is no roll of zeros and ones.
    """
    from scipy.io import loadmat

    try:
        matrices = loadmat(path)
    except Exception as error:  # scipy, zlib and the system raise each their own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise about(setting, f"is no .mat file: {reason}.") from error
    absent = [field for field in _MATRICES.values() if field not in matrices]
    if absent:
        names = ", ".join(name for name in matrices if not name.startswith("__")) or "nothing"
        raise about(setting, f"must have {', '.join(_MATRICES.values())}, it has {names}.")
    pieces = {}
    for split, field in _MATRICES.items():
        pieces[split] = []
        for i, roll in enumerate(np.ravel(matrices[field])):
            roll = np.asarray(roll)
            binary = roll.dtype.kind in "uifb" and np.isin(roll, (0, 1)).all()
            if roll.ndim != 2 or roll.shape[1] != KEYS or not binary:
                raise about(
                    setting,
                    f"{field}[{i}] must be [T, {KEYS}] of 0 and 1, got {list(roll.shape)} "
                    f"{roll.dtype}.",
                )
            pieces[split].append(roll.astype(np.uint8))
    return pieces


def read_midi_folder(folder: Path, setting: str, frames_per_beat: int) -> Pieces:
    """The pieces of the MIDI files in a folder: all are "train", or those of the subfolders train,
    valid (or validation) and test.

    Raises:
        UserError: there are none; one is no MIDI file; mido is not installed.
    """
    names = {"train": "train", "validation": "valid", "test": "test"}
    names["validation"] = "valid" if (folder / "valid").is_dir() else "validation"
    folders = {split: folder / name for split, name in names.items()}
    if not folders["train"].is_dir():
        folders = {"train": folder}
    pieces = {}
    for split, place in folders.items():
        files = sorted(p for p in place.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
        rolls = (read_midi(file, f"{setting}: {file.name}", frames_per_beat) for file in files)
        pieces[split] = [roll for roll in rolls if len(roll) > 1]
    if not pieces["train"]:
        raise about(setting, "has no MIDI files (.mid, .midi) with notes of a piano.")
    return {split: rolls for split, rolls in pieces.items() if rolls}


@dataclasses.dataclass(frozen=True)
class _Note:
    pitch: int
    start: int  # ticks
    end: int


def read_midi(path: Path, setting: str, frames_per_beat: int) -> np.ndarray:
    """The keys that sound in each frame of a MIDI file, [T, 88] uint8.

    A key sounds in the frames from the nearest to a note's start to before the nearest to its end,
    in one at least. Drums and pitches that a piano lacks are left out, and so is silence before the
    first note. Pedals are ignored.

    Raises:
        UserError: it is no MIDI file, its time has no beats, or it lasts more than 1,000,000
            frames; mido is not installed.
    """
    try:
        import mido
    except ImportError as error:
        raise missing("MIDI", "mido", "music") from error
    try:
        midi = mido.MidiFile(path)
        notes = list(_notes(midi))
    except Exception as error:  # whatever a damaged file leads mido to
        raise about(setting, f"is no MIDI file: {str(error) or type(error).__name__}.") from error
    if midi.ticks_per_beat < 1:
        raise about(setting, "counts frames of a film (SMPTE), not beats.")
    notes = [note for note in notes if 0 <= note.pitch - LOWEST < KEYS]
    if not notes:
        return np.zeros((0, KEYS), np.uint8)
    ticks = midi.ticks_per_beat / frames_per_beat
    first = min(round(note.start / ticks) for note in notes)
    spans = [(round(n.start / ticks) - first, round(n.end / ticks) - first) for n in notes]
    frames = max(max(a + 1, b) for a, b in spans)
    if frames > _LONGEST:
        raise about(setting, f"lasts {frames:,} frames; at most {_LONGEST:,} are read.")
    roll = np.zeros((frames, KEYS), np.uint8)
    for note, (a, b) in zip(notes, spans, strict=True):
        roll[a : max(a + 1, b), note.pitch - LOWEST] = 1
    return roll


def _notes(midi) -> Iterator[_Note]:
    """The notes of all tracks."""
    for track in midi.tracks:
        time, sounding = 0, {}
        for message in track:
            time += message.time
            if message.type not in ("note_on", "note_off") or message.channel == 9:
                continue
            place = message.channel, message.note
            if place in sounding:
                yield _Note(message.note, sounding.pop(place), time)
            if message.type == "note_on" and message.velocity > 0:
                sounding[place] = time
        yield from (_Note(pitch, start, time) for (_, pitch), start in sounding.items())


def check_readable(path: Path) -> None:
    """Refuses, by UserError, a path that is not there or neither a .mat file nor a folder."""
    if not path.exists():
        raise UserError(f"={path}: no such file or folder.", "path")
    if path.is_file() and path.suffix.lower() != ".mat":
        raise UserError(f"={path} must be a .mat file or a folder of MIDI files.", "path")
