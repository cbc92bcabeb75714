"""Piano rolls: .mat and MIDI files, streams without padding, transposition, and mistakes."""

import contextlib
import struct
import sys

import numpy as np
import pytest
from scipy.io import savemat

from nets.data import canons, music_files
from nets.data.piano_rolls import PianoRolls, key_counts
from nets.errors import UserError

mido = pytest.importorskip("mido")


def piece(length, seed=0):
    rng = np.random.default_rng((length, seed))
    roll = np.zeros((length, 88), np.uint8)
    roll[np.arange(length), rng.integers(30, 50, length)] = 1
    return roll


def cell(pieces):
    rows = np.empty((1, len(pieces)), object)
    rows[0] = [*pieces]
    return rows


PIECES = {"traindata": [piece(n) for n in (9, 5, 12)], "validdata": [piece(6), piece(4)],
          "testdata": [piece(n, 1) for n in (7, 3, 8)]}  # fmt: skip


@pytest.fixture
def mat(tmp_path):
    def write(**changes):
        arrays = {name: cell(rolls) for name, rolls in PIECES.items()} | changes
        savemat(tmp_path / "mine.mat", {k: v for k, v in arrays.items() if v is not None})
        return str(tmp_path / "mine.mat")

    return write


def data(path, **fields):
    return PianoRolls(path=path, **{"length": 4, "batch_size": 2, "eval_batch_size": 2} | fields)


def test_every_frame_but_a_pieces_first_is_predicted_once_from_the_one_before(mat):
    batches = [*data(mat()).evaluate("test")]
    pairs = {
        (before.tobytes(), after.tobytes())
        for roll in PIECES["testdata"]
        for before, after in zip(roll, roll[1:], strict=False)
    }
    predicted, count = set(), 0
    for batch in batches:
        assert batch["inputs"].shape == (2, 4, 88)
        for row, step in np.argwhere(batch["mask"] > 0):
            frames = (batch[name][row, step].astype(np.uint8) for name in ("inputs", "targets"))
            predicted.add(tuple(frame.tobytes() for frame in frames))
            count += 1
    assert count == 6 + 2 + 7 and predicted == pairs


def test_a_piece_begins_with_a_silent_frame_and_a_reset(mat):
    batches = [*data(mat()).evaluate("test")]
    inputs, reset, mask = (
        np.concatenate([batch[name] for batch in batches], 1)
        for name in ("inputs", "reset", "mask")
    )
    assert not inputs[reset].any() and not mask[reset].any()
    assert reset[0].nonzero()[0][0] == 0 and mask.sum() == 15
    lengths = [np.diff(row.nonzero()[0], append=len(row)) for row in reset]
    assert {9, 8, 4} <= {int(n) for row in lengths for n in row}  # 8, 7 and 3 frames and silence


def test_training_streams_have_no_padding_and_every_piece_once_an_epoch(mat):
    rolls = data(mat(), length=7, batch_size=2)  # 9 + 5 + 12 frames and 3 of silence: 2 x 14
    batches = [rolls.train(3)[i] for i in range(4)]
    for first in (0, 2):
        epoch = batches[first : first + 2]
        stream = [np.concatenate([b["inputs"][row] for b in epoch]) for row in (0, 1)]
        counts = np.concatenate(stream).sum(0)
        whole = sum(roll.sum(0) for roll in PIECES["traindata"])
        assert 0 <= (whole - counts).sum() <= 1  # but for the last frame
        masks = np.concatenate([b["mask"].ravel() for b in epoch])
        assert (masks == 0).sum() in (2, 3)  # where a piece ends
        assert epoch[0]["reset"][:, 0].all()
    again = data(mat(), length=7, batch_size=2).train(3)[1]
    np.testing.assert_array_equal(batches[1]["inputs"], again["inputs"])


def test_a_segment_goes_on_where_the_one_before_ended(mat):
    rolls = data(mat(), length=7, batch_size=2)
    one, two = rolls.train(0)[0], rolls.train(0)[1]
    inside = one["mask"][:, -1] > 0
    np.testing.assert_array_equal(one["targets"][inside, -1], two["inputs"][inside, 0])


def test_pieces_are_moved_by_some_keys_and_no_note_is_lost(mat):
    low = piece(9)
    low[3, 1] = 1  # can be moved down by one key at most
    rolls = data(mat(traindata=cell([low])), transpose=6, batch_size=1, length=9)
    moves = set()
    for epoch in range(30):
        batch = rolls.train(0)[epoch]
        after = batch["targets"][0].astype(int)
        (move,) = [m for m in range(-6, 7) if (np.roll(low, m, 1) == after).all()]
        assert after.sum() == low.sum()
        moves.add(move)
    assert min(moves) == -1 and max(moves) == 6 and len(moves) > 5


def test_rates_are_counted(mat):
    rolls = data(mat(traindata=cell([np.eye(88, dtype=np.uint8)[[3, 3, 3, 5]]])))
    metadata = rolls.metadata()
    assert metadata["stays"][3] == (2 + 1) / (3 + 2) and metadata["starts"][5] == (1 + 1) / (3 + 2)
    assert metadata["rates"][3] == (2 + 1) / (3 + 2)  # of the frames that are predicted
    counts = key_counts(np.eye(88, dtype=np.uint8)[[3, 3]], np.eye(88, dtype=np.uint8)[[3, 5]])
    assert counts[:, 3].tolist() == [1, 1, 0, 0] and counts[:, 5].tolist() == [0, 0, 1, 1]


def midi(path, events, ticks=480, **fields):
    """A file of (ticks since the event before, type, pitch), in two tracks where asked."""
    file = mido.MidiFile(ticks_per_beat=ticks)
    track = mido.MidiTrack()
    for time, kind, pitch, *velocity in events:
        value = velocity[0] if velocity else 64
        track.append(mido.Message(kind, note=pitch, velocity=value, time=time, **fields))
    file.tracks.append(track)
    file.save(path)
    return path


def test_midi_is_read_by_hand_counted_frames(tmp_path):
    events = [
        (480, "note_on", 60),  # a beat of silence before it is left out
        (480, "note_off", 60),  # four frames
        (0, "note_on", 64),
        (10, "note_on", 64, 0),  # shorter than a frame: one frame
        (230, "note_on", 62),  # 240 ticks later: two frames
        (0, "note_on", 10),  # no key of a piano
        (240, "note_off", 62),
    ]
    roll = music_files.read_midi(midi(tmp_path / "a.mid", events), "a", 4)
    assert roll.shape == (8, 88)
    assert roll[:, 60 - 21].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert roll[:, 64 - 21].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert roll[:, 62 - 21].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert roll.sum() == 7


def test_drums_are_left_out(tmp_path):
    path = midi(tmp_path / "a.mid", [(0, "note_on", 60), (480, "note_off", 60)], channel=9)
    assert len(music_files.read_midi(path, "a", 4)) == 0


@pytest.mark.parametrize("split", [True, False])
def test_a_folder_of_midi_files_is_a_set(tmp_path, split):
    for i in range(6):
        folder = tmp_path / (("train", "valid", "test")[i % 3] if split else "all")
        folder.mkdir(exist_ok=True)
        midi(folder / f"{i}.mid", [(0, "note_on", 60 + i), (960, "note_off", 60 + i)])
    rolls = data(str(tmp_path), frames_per_beat=2, validation=0.2, test=0.2, batch_size=1, length=3)
    metadata = rolls.metadata()
    expected = {"train": 2, "validation": 2, "test": 2} if split else None
    assert metadata["pieces"] == (expected or {"train": 4, "validation": 1, "test": 1})
    assert metadata["frames"]["test"] == 4 * metadata["pieces"]["test"]
    assert metadata["frames_per_beat"] == 2


def test_a_canon_repeats_itself_a_round_later():
    roll = canons.canon(np.random.default_rng(0))
    assert roll.shape[1] == 88 and len(roll) % canons.DELAY == 0
    voices = roll[:, 60 - 21 :]
    one, two = voices[canons.DELAY : 2 * canons.DELAY], voices[2 * canons.DELAY : 3 * canons.DELAY]
    melody = one.argmax(1)
    silent = ~one.any(1)
    assert (two[np.arange(len(two)), melody] | silent).all()
    assert (roll[: canons.DELAY].sum(1) == 1).all()  # the bass alone, which goes on
    bass = roll[: canons.DELAY].argmax(1)
    assert roll[canons.DELAY : 2 * canons.DELAY][np.arange(canons.DELAY), bass].all()


def test_the_generated_set_is_known_without_files():
    rolls = PianoRolls()
    metadata = rolls.metadata()
    assert metadata["pieces"] == {"train": 120, "validation": 15, "test": 15}
    assert {k: (v.shape, v.dtype) for k, v in rolls.train(0)[0].items()} == rolls.spec().arrays


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"validdata": None},
            "must have traindata, validdata, testdata, it has traindata, testdata",
        ),
        ({"traindata": cell([np.zeros((4, 87))])}, r"traindata\[0\] must be \[T, 88\].*\[4, 87\]"),
        ({"testdata": cell([np.full((4, 88), 2)])}, r"testdata\[0\] must be \[T, 88\] of 0 and 1"),
        ({"traindata": cell([piece(1)])}, "has no piece of two frames or more to train on"),
    ],
)
def test_bad_matrices_are_refused(mat, changes, message):
    with pytest.raises(UserError, match=message):
        data(mat(**changes)).metadata()


def header(division):
    """That of a MIDI file of one track."""
    return b"MThd" + struct.pack(">IHHh", 6, 0, 1, division)


EMPTY = b"MTrk" + struct.pack(">I", 4) + b"\x00\xff\x2f\x00"  # a track that ends at once
KEY_OF_20_SHARPS = b"MTrk" + struct.pack(">I", 6) + b"\x00\xff\x59\x02\x14\x00"


def test_a_split_without_pieces_is_held_out_of_those_to_train_on(mat):
    rolls = data(mat(validdata=cell([piece(1)])), validation=0.4)
    assert rolls.splits() == ("validation", "test")
    assert rolls.metadata()["pieces"] == {"train": 2, "validation": 1, "test": 3}
    assert len(rolls.evaluate("validation")) > 0


def test_what_is_neither_is_refused(tmp_path):
    (tmp_path / "no.mat").write_bytes(b"nothing of the kind" * 20)
    with pytest.raises(UserError, match="^path=.*no.mat is no .mat file: "):
        data(str(tmp_path / "no.mat")).metadata()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"has no MIDI files \(.mid, .midi\)"):
        data(str(tmp_path / "folder")).metadata()
    with pytest.raises(UserError, match="^path=.*absent: no such file or folder"):
        data(str(tmp_path / "absent")).metadata()
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UserError, match="must be a .mat file or a folder of MIDI files"):
        data(str(tmp_path / "a.txt")).metadata()


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"no midi at all, but bytes", header(96), header(96) + KEY_OF_20_SHARPS],
)
def test_a_midi_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(UserError, match="a.mid is no MIDI file: "):
        data(str(tmp_path)).metadata()


@pytest.mark.parametrize("division", [0, -25 * 256 + 40])  # 25 frames a second, 40 ticks each
def test_a_midi_without_beats_is_refused(tmp_path, division):
    (tmp_path / "a.mid").write_bytes(header(division) + EMPTY)
    with pytest.raises(UserError, match=r"a.mid counts frames of a film \(SMPTE\), not beats"):
        data(str(tmp_path)).metadata()


def test_a_midi_without_end_is_refused(tmp_path):
    midi(tmp_path / "a.mid", [(0, "note_on", 60), (2**27, "note_off", 60)], ticks=1)
    with pytest.raises(UserError, match="a.mid lasts 536,870,912 frames; at most 1,000,000 are"):
        data(str(tmp_path)).metadata()


def test_a_damaged_matrix_is_refused(tmp_path):
    path, refused = tmp_path / "mine.mat", 0
    savemat(path, {name: cell(rolls) for name, rolls in PIECES.items()}, do_compression=True)
    whole = path.read_bytes()
    for k in range(130, len(whole), 23):  # behind the header
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 255]) + whole[k + 1 :])
        with contextlib.suppress(UserError):
            music_files.read_mat(path, "path=mine.mat")
            refused -= 1
        refused += 1
    assert refused > 5


def test_without_mido_midi_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.mid").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(UserError, match=r"MIDI needs mido: .*\[music\]"):
        data(str(tmp_path)).metadata()


def test_too_few_frames_are_refused(mat):
    with pytest.raises(
        UserError, match="have 28 frames, and batch_size=2 times length=40 needs 80"
    ):
        data(mat(), length=40).train(0)
