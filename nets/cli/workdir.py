"""A work directory: who may use it, and whether it holds this very run."""

import contextlib
import fcntl
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from nets.cli import config, provenance
from nets.errors import UserError
from nets.optim.schedules import Cosine
from nets.train.experiment import CHANGEABLE

COSINE = config.to_json(Cosine())["class"]
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def environment() -> dict[str, Any]:
    """Versions and devices, on which the bits of a result depend."""
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "device": device.device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "cpu_cores": len(os.sched_getaffinity(0)),
    }


def check(
    workdir: Path, record: dict[str, Any], warn: Callable[[str], None], allow_changed_code: bool
) -> dict[str, Any]:
    """Whether a run of this record may go on in `workdir`; the record to go on by. Writes nothing.

    Args:
        record: what config.json will hold (`nets.cli.runs.make_record`).
        warn: called with a difference that can change bits.
        allow_changed_code: whether code that was edited is only warned of, and noted in the record.

    Returns:
        The record, with the start and the code changes of the run that is already there.

    Raises:
        UserError: the directory holds another experiment, another configuration, other data, a run
            by other code, or something that is no run at all.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"{workdir} is a file; a directory is needed.")
    path = workdir / "config.json"
    if not path.is_file():
        if workdir.is_dir() and any(p.name != ".lock" for p in workdir.iterdir()):
            raise UserError(f"{workdir} holds files that are not a run's; name another directory.")
        return record
    try:
        stored = json.loads(path.read_text())
        absent = sorted(record.keys() - stored.keys())
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as a run's configuration: {error!r}.") from None
    if absent:
        raise UserError(
            f"{path} says nothing of {', '.join(absent)}: it was written by an older version; name "
            "another directory."
        )
    changed = provenance.changes(stored["code"], record["code"])
    same_name = Path(stored["experiment"]).name == Path(record["experiment"]).name
    if stored["experiment"] != record["experiment"] and not (same_name and not changed):
        raise UserError(
            f"{workdir} holds a run of {stored['experiment']}, not of {record['experiment']}; "
            "name another directory."
        )
    differing = _differences(stored["config"], record["config"], skip=CHANGEABLE)
    if differing:
        raise UserError(
            f"{workdir} holds a run that differs in: {differing}. "
            "Say the same, or name another directory."
        )
    if stored["metadata"]["digest"] != record["metadata"]["digest"]:
        raise UserError(
            f"{workdir} was trained on other data (digest {stored['metadata']['digest']}, now "
            f"{record['metadata']['digest']}); name another directory."
        )
    steps, now = stored["config"]["steps"], record["config"]["steps"]
    if steps != now and stored["config"]["optimizer.schedule"] == COSINE:
        warn(f"the cosine now spans {now} steps, not {steps} as it did until here")
    differing = _differences(stored["environment"], record["environment"])
    if differing:
        warn(f"bits may differ from those of an undisturbed run, since this differs: {differing}")
    inherited = {"started": stored["started"], "code_changes": stored["code_changes"]}
    if changed:
        edited = ", ".join(changed)
        if not allow_changed_code:
            raise UserError(
                f"the code that {workdir} was trained by has changed since: {edited}. Name another "
                "directory, or give --allow_changed_code to resume with the code as it is now."
            )
        warn(f"resuming with changed code: {edited}")
        inherited["code_changes"] = [*stored["code_changes"], f"{record['started']}: {edited}"]
    return record | inherited


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Holds the directory (made where missing) against every other process; by process 0 alone.

    Raises:
        UserError: another process holds it.
    """
    if jax.process_index() != 0:
        yield
        return
    made = not workdir.exists()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = open(workdir / ".lock", "a+")
    except OSError as error:
        raise UserError(f"{workdir} cannot be written to: {error.strerror}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(f"{workdir} is in use by another process ({file.read()}).") from None
        file.truncate(0)
        file.write(f"pid {os.getpid()}")
        file.flush()
        try:
            yield
        finally:
            if made and not (workdir / "config.json").exists():
                shutil.rmtree(workdir)


def _differences(stored: dict[str, Any], now: dict[str, Any], skip: tuple[str, ...] = ()) -> str:
    keys = [k for k in sorted(stored.keys() | now.keys()) if k not in skip]
    return ", ".join(
        f"{k} ({stored.get(k)} there, {now.get(k)} now)"
        for k in keys
        if stored.get(k) != now.get(k)
    )
