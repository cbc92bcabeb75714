"""Sentences in columns, one word per line with its tags (the format of the CoNLL shared tasks)."""

import re
from pathlib import Path
from typing import NamedTuple

from nets.data import corpora
from nets.errors import about

_PART = re.compile(r"\d+[-.]\d+")  # an id of CoNLL-U that is of several words, or of none


class Tagged(NamedTuple):
    """A sentence and the tags of its words.

    Attributes:
        words: the words.
        tags: as many tags.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]


def read(setting: str, path: str, word_column: int, tag_column: int) -> list[Tagged]:
    """The sentences of a UTF-8 file, packed where its name ends in .gz.

    An empty line ends a sentence. Columns are separated by tabs, where a line has one, or by
    spaces. Of a file with tabs the lines without one that begin with # are comments, and where the
    words are not its first column, words whose first column is an id such as 3-4 or 8.1 are passed
    over: both are so in CoNLL-U.

    Args:
        setting: how the file was given, for errors, such as "path=FILE".
        path: the file.
        word_column: the column of the words, from 0; -1 is the last.
        tag_column: that of the tags.

    Raises:
        UserError: the file cannot be read or is empty, or a line has another number of columns than
            the first, or none of this number.
    """
    text = corpora.read(Path(path).expanduser(), setting)
    tabs, width = "\t" in text, None
    sentences, words = [], []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        line = line.rstrip("\r")
        if not line.strip():
            if words:
                sentences.append(Tagged(*zip(*words, strict=True)))
            words = []
            continue
        if tabs and line.startswith("#") and "\t" not in line:
            continue
        columns = line.split("\t") if "\t" in line else line.split()
        width = width or len(columns)
        if len(columns) != width:
            raise about(
                setting, f"line {number} has {len(columns)} columns, and the first has {width}."
            )
        for name, column in (("word_column", word_column), ("tag_column", tag_column)):
            if not -width <= column < width:
                raise about(
                    setting, f"line {number} has {width} columns, from 0, and {name} is {column}."
                )
        if word_column > 0 and _PART.fullmatch(columns[0]):
            continue
        words.append((columns[word_column], columns[tag_column]))
    if not sentences:
        raise about(setting, "has no sentences: it is empty.")
    return sentences
