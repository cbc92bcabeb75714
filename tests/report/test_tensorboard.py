"""TensorBoard's events, read back as TensorBoard reads them, are the rows of metrics.jsonl."""

import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from nets.report import metrics_log
from nets.train import resume
from tests.support import toys
from tests.train.test_loop import Interrupting, fit


def events(file):
    """The events of a file of records: length (u64), its checksum, data, its checksum (u32)."""
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + length]))
        assert len(content) >= 16 + length
        content = content[16 + length :]
    return found


def shown(folder):
    """The scalars that TensorBoard shows, as step, tag and value.

    Its EventAccumulator goes through a run's files in the order of their names. Where a session
    starts, what was read of its step and later ones is dropped (in files of version 2).
    """
    scalars, starts = [], []
    for file in sorted(folder.glob("*tfevents*")):
        first, *rest = events(file)
        assert first.file_version == "brain.Event:2"
        for event in rest:
            if event.session_log.status == SessionLog.START:
                starts.append(event.step)
                scalars = [scalar for scalar in scalars if scalar[0] < event.step]
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    scalars.append((event.step, value.tag, value.simple_value))
    return scalars, starts


def logged(workdir, split):
    """The same of metrics.jsonl, rounded to float32 as events hold it."""
    return [
        (row["step"], name, float(np.float32(value)))
        for row in metrics_log.read(workdir / "metrics.jsonl")
        for name, value in row.items()
        if row["split"] == split and name not in ("step", "split")
    ]


def test_every_row_is_an_event(tmp_path):
    fit(toys.classifier(), tmp_path)
    counts = {}
    for split, start in (("train", 1), ("validation", 1), ("test", 0)):
        scalars, starts = shown(tmp_path / "tensorboard" / split)
        assert scalars == logged(tmp_path, split) and starts == [start]
        counts[split] = sum(tag == "loss" for _, tag, _ in scalars)
    assert counts == {"train": 7, "validation": 4, "test": 1}


def test_a_session_of_the_same_second_leaves_the_events_before_it(tmp_path):
    """tensorboardX names a file by the second and the host."""
    size = 0
    for step in (8, 9, 10):  # each goes on from where the one before was saved
        metrics_log.cut(tmp_path / "metrics.jsonl", size)
        log = metrics_log.Log(tmp_path, step)
        log.write(step + 1, "train", {"loss": step / 3})
        size = log.sync()
        log.write(step + 2, "train", {"loss": -1.0})
        log.close()
    scalars, starts = shown(tmp_path / "tensorboard" / "train")
    assert scalars == logged(tmp_path, "train") and starts == [9, 10, 11]
    assert [step for step, *_ in scalars] == [9, 10, 11, 12]


@pytest.mark.parametrize(("crash", "saved"), [(11, 8), (4, 0)])
def test_events_after_the_checkpoint_are_dropped_at_a_resume(crash, saved, tmp_path, monkeypatch):
    experiment = toys.classifier(eval_every=100)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def tick(reporter, step):
            if step == crash:
                raise KeyboardInterrupt  # as killed: nothing is saved

        patch.setattr(Interrupting, "tick", tick)
        fit(experiment, tmp_path)
    lost, folder = logged(tmp_path, "train"), tmp_path / "tensorboard" / "train"
    (first,) = folder.iterdir()
    found = resume.newest(tmp_path, print)
    assert (found[0] if found else 0) == saved
    fit(experiment, tmp_path)
    scalars, starts = shown(folder)
    assert scalars == logged(tmp_path, "train") and starts == [1, saved + 1]
    assert lost[-1][0] > saved and lost[-1] not in scalars  # its speed was another
    assert len(list(folder.iterdir())) == 2 and first.stat().st_size > 0


def test_what_was_tested_is_that_of_the_last_end(tmp_path):
    for end, best in ((20, 20), (30, 15)):  # a longer run, whose best step is an earlier one
        metrics_log.cut(tmp_path / "metrics.jsonl", 0)
        log = metrics_log.Log(tmp_path, end)
        log.write(best, "test", {"loss": end / 8})
        log.close()
    assert shown(tmp_path / "tensorboard" / "test")[0] == [(15, "loss", 3.75)]
