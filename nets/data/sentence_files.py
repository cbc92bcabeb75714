"""Sentences with a class each: files of two columns, or a folder with a file per class."""

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

from nets.data import corpora, tfds
from nets.errors import UserError, about

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_CLASSES = 8  # modules whose sentences are told apart
_WORDS = (5, 40)  # of a sentence of the documentation


class Labelled(NamedTuple):
    """A sentence and the name of its class."""

    sentence: str
    label: str


def read(setting: str, path: str, label_column: int, header: bool) -> list[Labelled]:
    """The sentences of a UTF-8 file of two columns, or those of a folder; packed where names end in
    .gz.

    A file whose name ends in .csv is read as such, with quotes; of any other a tab separates the
    columns. In a folder every file is a class, with a sentence on each line, and has the part of
    its name, between dots, that tells it from the others: "neg" of rt-polarity.neg. Empty lines are
    passed over.

    Args:
        setting: how the path was given, for errors, such as "path=FILE".
        path: the file or folder.
        label_column: which of the two columns is the class, 0 or 1.
        header: whether the first line names the columns.

    Raises:
        UserError: it cannot be read or has no sentences, a line has not two columns or is no CSV,
            or a class has no name.
    """
    root = Path(path).expanduser()
    rows = _folder(setting, root) if root.is_dir() else _file(setting, root, label_column, header)
    if not rows:
        raise about(setting, "has no sentences: it is empty.")
    return rows


def _file(setting: str, path: Path, label_column: int, header: bool) -> list[Labelled]:
    text = corpora.read(path, setting)
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if _DELIMITERS.get(suffix, "\t") == ",":
        lines = csv.reader(io.StringIO(text, newline=""))
        try:
            numbered = [(lines.line_num, columns) for columns in lines if columns]
        except csv.Error as error:  # such as a quote that nothing closes
            raise about(setting, f"line {lines.line_num} is no CSV: {error}.") from error
        separator = "a comma"
    else:
        lines = (line.rstrip("\r") for line in text.split("\n"))
        numbered = [(i, line.split("\t")) for i, line in enumerate(lines, 1) if line.strip()]
        separator = "a tab"
    rows = []
    for number, columns in numbered[header:]:
        if len(columns) != 2:
            raise about(
                setting,
                f"line {number} must be two columns with {separator} between them, a class and a "
                f"sentence; it has {len(columns)}.",
            )
        label, sentence = columns[label_column].strip(), columns[1 - label_column].strip()
        if not label or not sentence:
            raise about(setting, f"line {number} has an empty column.")
        rows.append(Labelled(sentence, label))
    return rows


def _folder(setting: str, root: Path) -> list[Labelled]:
    files = sorted(p for p in root.iterdir() if p.is_file() and not p.name.startswith("."))
    files = [p for p in files if not p.name.startswith("README")]
    parts = [file.name.removesuffix(".gz").split(".") for file in files]
    shared = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    names = [".".join(part for part in name if part not in shared) for name in parts]
    if len(files) < 2 or "" in names or len(set(names)) < len(names):
        raise about(
            setting,
            "must have a file for each class, two at least, with names that tell them apart; it "
            f"has {', '.join(file.name for file in files[:5]) or 'none'}.",
        )
    return [
        Labelled(line.strip(), name)
        for file, name in zip(files, names, strict=True)
        for line in corpora.read(file, f"{setting}: {file.name}").split("\n")
        if line.strip()
    ]


def trec(data_dir: str | None, fine: bool) -> dict[str, list[Labelled]]:
    """Questions by the kind of their answer (Li and Roth 2002), of TFDS: 5,452 and 500.

    Args:
        data_dir: folder of the TFDS sets.
        fine: whether classes are the 47 fine ones (of 50, those that TFDS has), or the 6 coarse.
    """
    builder, key = tfds.prepared("trec", data_dir), "label-fine" if fine else "label-coarse"
    names, rows = builder.info.features[key].names, {}
    for split in ("train", "test"):
        count = builder.info.splits[split].num_examples
        examples = tfds.reader(builder, split)(range(count))
        rows[split] = [Labelled(e["text"].decode().strip(), names[e[key]]) for e in examples]
    return rows


def modules() -> list[Labelled]:
    """Sentences of the docstrings of this Python's standard library, by the module they are in.

    Of the modules that have most; a sentence has 5 to 40 words, and is there once.
    """
    sentences: dict[str, list[str]] = {}
    unique: set[str] = set()
    for name, text in corpora.docstrings().items():
        for paragraph in re.split(r"\n\s*\n", text):
            for sentence in _SENTENCE.split(" ".join(paragraph.split())):
                words = sentence.split()
                plain = sentence[:1].isalpha() and sentence[-1:] in (".", "!", "?")
                if plain and _WORDS[0] <= len(words) <= _WORDS[1] and sentence not in unique:
                    unique.add(sentence)
                    sentences.setdefault(name.removesuffix(".py"), []).append(sentence)
    if len(sentences) < _CLASSES:
        raise UserError(f"the standard library has docstrings of {len(sentences)} modules alone.")
    largest = sorted(sentences, key=lambda name: (-len(sentences[name]), name))[:_CLASSES]
    return [Labelled(s, name) for name in sorted(largest) for s in sentences[name]]
