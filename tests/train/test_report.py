"""What a run leaves for people: TensorBoard's sub-runs, the page, the table of several seeds."""

import struct

from tensorboardX.proto.event_pb2 import Event

from nets.train import metrics


def events(folder):
    """The TensorBoard events of a folder, read record by record: length, its crc, data, its crc."""
    found = []
    for path in sorted(folder.glob("events*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + size]))
            data = data[16 + size :]
    return found


def scalars(folder):
    """(tag, step, value) of every scalar that is left when purged steps are dropped."""
    found = []
    for event in events(folder):
        if event.HasField("session_log") and event.session_log.status == 1:  # START
            found = [row for row in found if row[1] < event.step]
        found += [(v.tag, event.step, round(v.simple_value, 3)) for v in event.summary.value]
    return found


def test_the_splits_are_sub_runs_that_share_their_tags_and_are_purged_on_a_resume(tmp_path):
    log = metrics.Log(tmp_path, 0, 0)
    for step in (10, 20):
        log.write(step, "train", {"loss": 0.5, "steps_per_s": 9.0})
        log.write(step, "validation", {"loss": 0.25})
    log.close()
    log = metrics.Log(tmp_path, 0, 15)  # what came after 15 is done again
    log.write(20, "train", {"loss": 0.75})
    log.write(20, "test", {"loss": 0.125})
    log.close()
    board = tmp_path / "tensorboard"
    losses = {
        split: [row for row in scalars(board / split) if row[0] == "loss"]
        for split in ("train", "validation", "test")
    }
    assert losses == {
        "train": [("loss", 10, 0.5), ("loss", 20, 0.75)],
        "validation": [("loss", 10, 0.25)],
        "test": [("loss", 20, 0.125)],
    }
