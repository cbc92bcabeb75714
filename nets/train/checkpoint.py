"""Checkpoints: orbax writes them atomically and in the background; here they are checked.

A checkpoint holds the state as global numpy arrays by key path, so that it does not depend on the
devices that saved it, and `meta`: the progress, and of every array its type, shape and a digest,
because a restore by orbax does not notice a flipped bit.
"""

import contextlib
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from nets.errors import UserError
from nets.optim.paths import flatten

Arrays = dict[str, np.ndarray]


class NotSaved(Exception):
    """A checkpoint could not be written; those before it are as they were."""


class Damaged(Exception):
    """A checkpoint that cannot be read back as it was written."""


class Checkpoints:
    """The checkpoints of one work directory: the newest two and the best are kept.

    Args:
        folder: where they lie, `<workdir>/checkpoints`.
        maximise: whether the best checkpoint has the maximum score.
        read_only: never create or delete anything.
    """

    def __init__(self, folder: Path, maximise: bool = False, read_only: bool = False) -> None:
        self.folder = folder
        policies = checkpoint_managers

        def score(metrics: dict[str, float]) -> float:
            return metrics["score"]

        best = policies.BestN(
            get_metric_fn=score, reverse=not maximise, n=1, keep_checkpoints_without_metrics=False
        )
        policy = policies.AnyPreservationPolicy([policies.LatestN(2), best])
        self._manager = ocp.CheckpointManager(
            folder.absolute(),
            options=ocp.CheckpointManagerOptions(
                create=not read_only,
                read_only=read_only,
                best_fn=score,  # without it orbax writes no metrics, and forgets them at a restart
                preservation_policy=None if read_only else policy,
                cleanup_tmp_directories=not read_only,
            ),
            item_names=("state", "meta"),
        )

    def save(self, step: int, arrays: Arrays, progress: dict, score: float | None) -> None:
        """Begins to write, when what was begun before is on disk; all processes call it together.

        Raises:
            NotSaved: the disk is full, or it or the one begun before could not be written.
        """
        # on a full disk orbax and tensorstore flood the terminal; a MiB is for what they add
        needed, free = sum(x.nbytes for x in arrays.values()) + 2**20, _free(self.folder)
        if free < needed:
            raise NotSaved(f"checkpoint {step} needs {needed:,} bytes, the disk has {free:,} left")
        table = {path: describe(x) for path, x in arrays.items()}
        with _telling(f"checkpoint {step}"):
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.PyTreeSave(arrays),
                    meta=ocp.args.JsonSave({"progress": progress, "arrays": table}),
                ),
                metrics=None if score is None else {"score": score},
            )

    def wait(self) -> None:
        """Until what was begun is on disk.

        Raises:
            NotSaved: it could not be written.
        """
        with _telling("the last checkpoint"):
            self._manager.wait_until_finished()

    def close(self) -> None:
        with _telling("the last checkpoint"):
            self._manager.close()

    def steps(self) -> list[int]:
        """The steps that have a finished checkpoint, rising."""
        return sorted(self._manager.all_steps())

    def read(self, step: int) -> tuple[Arrays, dict]:
        """The arrays and the progress of one checkpoint.

        Raises:
            Damaged: something in it is missing, unreadable, or not what was written.
        """
        try:
            meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))
            table, progress = meta["meta"]["arrays"], meta["meta"]["progress"]
            arrays = self._manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.PyTreeRestore())
            )["state"]
        except Exception as error:  # whatever orbax and tensorstore raise on broken files
            raise Damaged(_first_line(error)) from error
        if set(arrays) != set(table):
            raise Damaged(f"its arrays and its table differ in {set(arrays) ^ set(table)}")
        for path, array in arrays.items():
            if describe(array) != table[path]:
                raise Damaged(f"the digest of {path} does not match")
        return arrays, progress

    def newest(self, warn: Callable[[str], None]) -> tuple[int, Arrays, dict] | None:
        """The newest checkpoint that is intact, naming through `warn` each that is not."""
        for step in reversed(self.steps()):
            try:
                return step, *self.read(step)
            except Damaged as error:
                warn(f"checkpoint {self.folder / str(step)} is damaged ({error}): passed over")
        return None

    def set_aside(self, after: int) -> None:
        """Moves the checkpoints of later steps, which were passed over, out of the way."""
        late = [step for step in self.steps() if step > after]
        for step in late if jax.process_index() == 0 else ():
            target = self.folder.parent / "damaged" / str(step)
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(exist_ok=True)
            shutil.move(self.folder / str(step), target)
        if late:
            self._manager.reload()


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of many kinds: orbax's, tensorstore's, the system's
        raise NotSaved(f"{what} could not be written: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """The error's first line; of a long one the beginning and the end, where the cause stands."""
    line = f"{type(error).__name__}: {error}".partition("\n")[0]
    return line if len(line) < 300 else f"{line[:100]} ... {line[-200:]}"


def describe(array: np.ndarray) -> list:
    """Type, shape and digest (CRC-32 of the bytes) of an array."""
    array = np.asarray(array)
    return [array.dtype.name, list(array.shape), zlib.crc32(np.ascontiguousarray(array).tobytes())]


def unflatten(template: Any, arrays: Arrays, source: str) -> Any:
    """The arrays in the structure of `template` (arrays or their shapes).

    Raises:
        UserError: a table of what is missing, extra or different in type or shape.
    """
    wanted = flatten(template)
    rows = []
    for path in sorted(wanted.keys() | arrays.keys()):
        want, have = (_form(side.get(path)) for side in (wanted, arrays))
        if want != have:
            rows.append(f"  {path}: checkpoint has {have}, this experiment needs {want}")
    if rows:
        table = "\n".join(rows)
        raise UserError(f"{source} does not fit; nothing was changed. The differences:\n{table}")
    leaves = [arrays[path] for path in wanted]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _form(leaf: Any) -> str:
    return "nothing" if leaf is None else f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}"
