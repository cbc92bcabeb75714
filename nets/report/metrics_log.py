"""metrics.jsonl and the TensorBoard events of a run."""

import json
import os
import time
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test", "train_eval")
"""train: means over batches of training; train_eval: the training split, evaluated at the end."""


def seconds_free(row: dict[str, Any]) -> dict[str, Any]:
    """The row without what depends on the clock (names that end in `_s`)."""
    return {k: v for k, v in row.items() if not k.endswith("_s")}


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`; a torn last line is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def cut(path: Path, size: int) -> int:
    """Cuts a metrics.jsonl to its first `size` bytes, a shorter one to its last whole line.

    Returns:
        The bytes that are missing.
    """
    with open(path, "ab+") as file:
        file.seek(0)
        content = file.read(size)
        end = size if len(content) == size else content.rfind(b"\n") + 1
        file.truncate(end)
    return size - end


class Log:
    """`metrics.jsonl` and the TensorBoard events of a run.

    TensorBoard colours by sub-run, so each split is one (`tensorboard/train`, ...), and a metric
    has the same tag in all: one chart, one colour per split. `pictures` is the sub-run of images
    and texts.

    Args:
        workdir: where both are written.
        step: TensorBoard's readers drop the events of later steps, and all of the splits
            that are evaluated at the end of a run.
    """

    def __init__(self, workdir: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self._file = open(workdir / "metrics.jsonl", "ab")
        # the writer's own file names have whole seconds: a continuation would overwrite a file
        named = {"filename_suffix": f".{time.time_ns()}"}
        folder = workdir / "tensorboard"
        at_end = ("test", "train_eval")
        first = {name: 0 if name in at_end else step + 1 for name in (*SPLITS, "pictures")}
        boards = {
            k: SummaryWriter(str(folder / k), purge_step=n, **named) for k, n in first.items()
        }
        self.pictures = boards.pop("pictures")
        self._splits = boards

    def write(self, step: int, split: str, values: dict[str, float]) -> None:
        """One line; every float reads back as the same float."""
        line = json.dumps({"step": step, "split": split, **values})
        self._file.write(line.encode() + b"\n")
        for name, value in values.items():
            self._splits[split].add_scalar(name, value, step)

    def sync(self) -> int:
        """Brings every line to disk and tells the file's size."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self.sync()
        self._file.close()
        for board in (*self._splits.values(), self.pictures):
            board.close()
