"""The persistent compilation cache."""

import atexit
import fcntl
import os
import tempfile
import zlib
from pathlib import Path

import jax

_MARK = "writer-"  # begins the name of the file that each process locks while it may write


def use_cache(folder: str | None) -> None:
    """Keeps every compiled program in `folder`, however short its compilation; None: nowhere.

    jax writes an entry in place and never again, so that one torn by a kill would stay. Each
    process holds a locked file in the folder; a file that is not locked is that of a process which
    was killed, and what has been written since its start is read through, and deleted if torn.
    """
    jax.config.update("jax_enable_compilation_cache", folder is not None)
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    delete_torn(Path(folder))
    _mark(Path(folder))
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _mark(folder: Path) -> None:
    """Holds a locked file in the folder until the process ends; only a kill leaves it there."""
    descriptor, path = tempfile.mkstemp(dir=folder)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # kept open, so that the lock ends with the process
    mark = folder / f"{_MARK}{os.path.basename(path)}"
    os.rename(path, mark)
    atexit.register(mark.unlink, missing_ok=True)


def delete_torn(folder: Path) -> list[Path]:
    """Deletes the torn entries that killed processes left in the cache; the files that went."""
    since, marks = None, []
    for mark in folder.glob(f"{_MARK}*"):
        try:
            with open(mark) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                begun = mark.stat().st_mtime_ns
        except (BlockingIOError, FileNotFoundError):  # its process runs, or has just ended
            continue
        since, marks = min(begun, since or begun), [*marks, mark]
    torn = []
    for path in folder.glob("*-cache") if marks else ():
        if path.stat().st_mtime_ns >= since and not _whole(path):
            path.unlink(missing_ok=True)
            torn.append(path)
    for mark in marks:
        mark.unlink(missing_ok=True)
    return torn


def _whole(path: Path) -> bool:
    # the compressor that jax itself picks: zstd where Python or a package has it, else zlib
    from jax._src.compilation_cache import decompress_executable

    try:
        decompress_executable(path.read_bytes())
    except (zlib.error, RuntimeError, ValueError, EOFError, OSError):
        return False
    return True
