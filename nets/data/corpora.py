"""Texts by split: Python's own documentation and source, Tiny Shakespeare, files of one's own."""

import gzip
import hashlib
import os
import re
import sys
import sysconfig
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from nets.data import tfds
from nets.errors import UserError, about

_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "--", "…": "...", "\xa0": " "}
)
_GOLDEN = 0.6180339887498949
_STDLIB = Path(sysconfig.get_path("stdlib"))


def python(validation: float, test: float) -> dict[str, str]:
    """Prose (`pydoc_data.topics`) and source (top-level modules) of this Python's standard library.

    Characters are printable ASCII and newline: tabs are expanded, typographic quotes and dashes
    made plain, and a document that has others still is left out.

    A document goes whole to one split. Its rank by size, among the prose or among the source, times
    the golden ratio, modulo 1, is spread evenly over 0..1: below `test` it is for the test, below
    `test + validation` for the validation. So each split has documents of all sizes and both kinds,
    and about its share of the characters. Within a split they follow each other in the order of a
    hash of their names.
    """
    return _spread((_topics(), modules()), validation, test)


def prose(validation: float, test: float) -> dict[str, str]:
    """`pydoc_data.topics`, and the docstrings of a top-level module as one document, as `python`.

    Docstrings are without their indentation, with an empty line between two.
    """
    return _spread((_topics(), docstrings()), validation, test)


def docstrings() -> dict[str, str]:
    """The docstrings of each top-level module, with an empty line between two."""
    from ast import AsyncFunctionDef, ClassDef, FunctionDef, Module, get_docstring, parse, walk

    documented = Module | ClassDef | FunctionDef | AsyncFunctionDef
    documents = {}
    for name, text in modules().items():
        parts = (get_docstring(node) for node in walk(parse(text)) if isinstance(node, documented))
        documents[name] = "\n\n".join(filter(None, parts))
    return documents


def _topics() -> dict[str, str]:
    from pydoc_data.topics import topics

    return {f"topic {name}": _clean(text) for name, text in topics.items()}


def modules() -> dict[str, str]:
    """The source of each top-level module of this Python's standard library, or "" (see `python`).

    Raises:
        UserError: it is not there.
    """
    sources = {
        path.name: _clean(path.read_text(encoding="utf-8", errors="replace"))
        for path in _STDLIB.glob("*.py")
        if path.stem in sys.stdlib_module_names
    }
    if not sources:
        raise UserError(f"the standard library's source is not at {_STDLIB}; give path.")
    return sources


def _spread(kinds: Iterable[dict[str, str]], validation: float, test: float) -> dict[str, str]:
    """Documents of several kinds, as `python` spreads them."""
    texts: dict[str, list[tuple[int, str, str]]] = {"train": [], "validation": [], "test": []}
    for documents in kinds:
        nonempty = [(name, text) for name, text in documents.items() if text]
        for rank, (name, text) in enumerate(sorted(nonempty, key=lambda d: (-len(d[1]), d[0]))):
            position = (0.5 + rank * _GOLDEN) % 1
            split = (
                "test"
                if position < test
                else "validation"
                if position < test + validation
                else "train"
            )
            texts[split].append((zlib.crc32(name.encode()), name, text))
    return {split: "\n".join(t for *_, t in sorted(rows)) for split, rows in texts.items()}


def _clean(text: str) -> str:
    """The text in printable ASCII and newline, or "" where that cannot be."""
    text = text.expandtabs().translate(_PLAIN)
    return "" if re.search(r"[^\n -~]", text) else text


def tiny_shakespeare(data_dir: str | None) -> dict[str, str]:
    """Karpathy 2015: TFDS's train split (the first 90%) to train; its validation and test splits,
    one after the other (the last 10%, 111,540 characters), to validate."""
    builder = tfds.prepared("tiny_shakespeare", data_dir)
    train, validation, test = (
        tfds.reader(builder, split)([0])[0]["text"].decode()
        for split in ("train", "validation", "test")
    )
    return {"train": train, "validation": validation + test}


def from_path(
    path: str, suffixes: tuple[str, ...], validation: float, test: float
) -> dict[str, str]:
    """A UTF-8 file, or a folder of them: its beginning to train, then validation, then test.

    Those of a folder, in its subfolders too, whose names end in one of `suffixes` are taken one
    after the other in the order of a hash of their names, so that each split has files from all
    folders, and a file at most is cut where two splits meet. Names that begin with a dot, of files
    or folders, are passed over.

    Raises:
        UserError: a file cannot be read or is not UTF-8, or the folder has none.
    """
    root = Path(path).expanduser()
    if root.is_dir():
        names = sorted(_below(root, suffixes), key=_digest)
        if not names:
            raise UserError(
                f"={path} has no file whose name ends in {', '.join(suffixes)} (suffixes).", "path"
            )
        texts = (read(root / name, f"path={path}: {name}") for name in names)
        text = "\n".join(text for text in texts if text)
    else:
        text = read(root, f"path={path}")
    ends = [round(len(text) * (1 - validation - test)), round(len(text) * (1 - test))]
    return {
        "train": text[: ends[0]],
        "validation": text[ends[0] : ends[1]],
        "test": text[ends[1] :],
    }


def _below(root: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """The files of a folder, by their path in it."""

    def refuse(error: OSError) -> None:
        raise UserError(f"={error.filename} cannot be read: {error.strerror}.", "path")

    for folder, folders, files in os.walk(root, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.endswith(suffixes) and not name.startswith("."):
                yield (Path(folder) / name).relative_to(root).as_posix()


def _digest(name: str) -> bytes:
    return hashlib.blake2b(os.fsencode(name)).digest()


def read(path: Path, setting: str) -> str:
    """The text of a UTF-8 file, unpacked first where its name ends in .gz.

    Raises:
        UserError: it cannot be read or is not UTF-8; `setting` is how it was given.
    """
    try:
        stored = path.read_bytes()
        return (gzip.decompress(stored) if path.suffix == ".gz" else stored).decode("utf-8")
    except UnicodeDecodeError as error:
        raise about(
            setting, f"is not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}."
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise about(setting, f"is not a complete gzip file: {error}.") from None
    except OSError as error:
        raise about(setting, f"cannot be read: {error.strerror}.") from None
