"""The persistent compilation cache."""

import re
import warnings
import zlib
from pathlib import Path

import jax


def use_cache(folder: str | None) -> None:
    """Keeps every compiled program in `folder`, however short its compilation; None: nowhere.

    jax writes an entry in place and never again, so one torn by a kill would be met, and compiled
    anew, at every start: it is deleted when jax complains of it, before jax writes it again.
    """
    jax.config.update("jax_enable_compilation_cache", folder is not None)
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    show = warnings.showwarning

    def heal(message, category, filename, lineno, file=None, line=None):
        if match := re.match(r"Error reading persistent compilation cache.*?'(.*?)'", str(message)):
            delete_torn(Path(folder), match[1])
        else:
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = heal
    warnings.filterwarnings("always", "Error reading persistent compilation cache")


def delete_torn(folder: Path, module: str) -> list[Path]:
    """Deletes the entries of a module that cannot be decompressed; the files that went."""
    torn = [path for path in folder.glob(f"{module}-*-cache") if not _whole(path)]
    for path in torn:
        path.unlink(missing_ok=True)
    return torn


def _whole(path: Path) -> bool:
    # the compressor that jax itself picks: zstd where Python or a package has it, else zlib
    from jax._src.compilation_cache import decompress_executable

    try:
        decompress_executable(path.read_bytes())
    except (zlib.error, RuntimeError, ValueError, EOFError, OSError):
        return False
    return True
