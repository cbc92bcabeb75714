"""Arrays in .npz files."""

import zipfile
from pathlib import Path

import numpy as np

from nets.errors import about


def read(path: Path, setting: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, by name.

    Args:
        path: the file.
        setting: how it was given, for errors, such as "path=FILE".

    Raises:
        UserError: it is no .npz file, is damaged, or holds objects.
    """
    if not zipfile.is_zipfile(path):
        raise about(setting, "cannot be read as .npz: it is not a complete zip archive.")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy, zipfile, zlib and the system raise each their own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise about(setting, f"cannot be read as .npz of plain arrays: {reason}") from error
