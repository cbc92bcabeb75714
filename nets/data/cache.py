"""Arrays that are slow to make, kept in the user's cache directory."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def arrays(
    name: str, stamp: str, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays that `make` returns, made once and then read back.

    An entry that cannot be read (the archive holds a checksum of each array) is made again; a
    directory that cannot be written is done without.

    Args:
        name: the beginning of the entry's file name.
        stamp: all that the arrays depend on.
    """
    path = entry(name, stamp)
    with contextlib.suppress(Exception):  # none there, or damaged: each part raises its own
        with open(path, "rb") as file, np.load(file) as archive:
            return {key: archive[key] for key in archive.files}
    made = make()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **made)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    return made


def entry(name: str, stamp: str) -> Path:
    """The file of an entry: below $XDG_CACHE_HOME, or ~/.cache."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.blake2b(stamp.encode(), digest_size=8).hexdigest()
    plain = re.sub(r"[^\w.]+", "-", name)
    return root / "nets" / "data" / f"{plain}-{key}.npz"
