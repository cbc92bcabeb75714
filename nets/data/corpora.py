"""Texts by split: Python's own documentation and source, Tiny Shakespeare, or a person's file."""

import re
import sys
import sysconfig
import zlib
from pathlib import Path

from nets.data import tfds
from nets.errors import UserError

_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "--", "…": "...", "\xa0": " "}
)
_GOLDEN = 0.6180339887498949


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
    from pydoc_data.topics import topics

    stdlib = Path(sysconfig.get_path("stdlib"))
    prose = {f"topic {name}": _clean(text) for name, text in topics.items()}
    source = {
        path.name: _clean(path.read_text(encoding="utf-8", errors="replace"))
        for path in stdlib.glob("*.py")
        if path.stem in sys.stdlib_module_names
    }
    texts: dict[str, list[tuple[int, str, str]]] = {"train": [], "validation": [], "test": []}
    for documents in (prose, source):
        kept = [(name, text) for name, text in documents.items() if text]
        for rank, (name, text) in enumerate(sorted(kept, key=lambda d: (-len(d[1]), d[0]))):
            place = (0.5 + rank * _GOLDEN) % 1
            split = (
                "test" if place < test else "validation" if place < test + validation else "train"
            )
            texts[split].append((zlib.crc32(name.encode()), name, text))
    if not texts["train"]:
        raise UserError(f"the standard library's source is not at {stdlib}; give --data.path.")
    return {split: "\n".join(t for _, _, t in sorted(found)) for split, found in texts.items()}


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


def file(path: str, validation: float, test: float) -> dict[str, str]:
    """A UTF-8 file: its beginning to train, then the validation share, then the test share.

    Raises:
        UserError: it cannot be read, or is not UTF-8.
    """
    try:
        text = Path(path).expanduser().read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"--data.path={path} is not UTF-8: byte {error.object[error.start]:#04x} at offset "
            f"{error.start}."
        ) from None
    except OSError as error:
        raise UserError(f"--data.path={path} cannot be read: {error.strerror}.") from None
    ends = [round(len(text) * (1 - validation - test)), round(len(text) * (1 - test))]
    return {
        "train": text[: ends[0]],
        "validation": text[ends[0] : ends[1]],
        "test": text[ends[1] :],
    }
