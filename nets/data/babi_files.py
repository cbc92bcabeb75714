"""Files of questions about stories in the form of bAbI (Weston et al. 2015).

A line is `ID sentence.` or `ID question?<TAB>answer<TAB>IDs of supporting sentences`; a line with
ID 1 begins a new story.
"""

import re
from pathlib import Path
from typing import NamedTuple

from nets.errors import UserError

NAMES = (
    "one supporting fact", "two supporting facts", "three supporting facts", "two arguments",
    "three arguments", "yes or no", "counting", "lists", "negation", "indefinite knowledge",
    "basic coreference", "conjunction", "compound coreference", "time", "deduction", "induction",
    "position", "size", "path finding", "motivations",
)  # fmt: skip
"""The subjects of bAbI's tasks 1 to 20."""
_WORD = r"[\w']+"


class Question(NamedTuple):
    """One question about the sentences before it.

    Attributes:
        task: number of the task.
        story: number of the story in its file, from 0.
        sentences: words of each sentence before the question, other questions left out.
        words: those of the question.
        answer: one symbol; several things are joined by commas ("apple,milk").
        support: indices of the sentences that lead to the answer, in the order of the file.
    """

    task: int
    story: int
    sentences: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    answer: str
    support: tuple[int, ...]


def split_words(text: str) -> tuple[str, ...]:
    """The words of a sentence in lower case, without marks.

    >>> split_words("Where is Mary?")
    ('where', 'is', 'mary')
    """
    return tuple(re.findall(_WORD, text.lower()))


def parse(lines: list[str], source: str, task: int) -> list[Question]:
    """The questions of a file's lines.

    Args:
        lines: those of the file.
        source: how the file was given, for errors.
        task: number of the task.

    Raises:
        UserError: a line has another form; names its number.
    """
    questions: list[Question] = []
    story, sentences, places = -1, [], {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        identity, _, text = line.strip(" ").partition(" ")
        if not identity.isdigit() or not text:
            raise UserError(f"{source}, line {number}, must begin with a number, got {line!r}.")
        said, *fields = (part.strip() for part in text.split("\t"))
        words = split_words(said)
        if not words:
            raise UserError(f"{source}, line {number}, must have words, got {line!r}.")
        if identity == "1":
            story, sentences, places = story + 1, [], {}
        if not fields:
            places[identity] = len(sentences)
            sentences.append(words)
            continue
        answer, *rest = fields
        support = rest[0].split() if rest else []
        if not answer or not {*support} <= {*places}:
            raise UserError(
                f"{source}, line {number}, must have an answer and numbers of sentences before it, "
                f"got {line!r}."
            )
        known = tuple(places[k] for k in support)
        questions.append(Question(task, story, tuple(sentences), words, answer.lower(), known))
    return questions


def read(path: str, task: int | None) -> dict[str, list[Question]]:
    """The questions of "train" and "test", of a folder with qaN_NAME_train.txt and _test.txt.

    Args:
        path: the folder.
        task: number of a task; None means all of which there is a file.

    Raises:
        UserError: a file is missing or not as it should be.
    """
    folder, questions = Path(path), {"train": [], "test": []}
    wanted = range(1, len(NAMES) + 1) if task is None else (task,)
    for number in wanted:
        found = {split: sorted(folder.glob(f"qa{number}_*_{split}.txt")) for split in questions}
        if task is None and not any(found.values()):
            continue
        for split, files in found.items():
            if len(files) != 1:
                raise UserError(
                    f"={path} must have one file qa{number}_*_{split}.txt, it has {len(files)}.",
                    "path",
                )
            try:
                lines = files[0].read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(
                    f"={path} has {files[0].name}, unreadable: {error}", "path"
                ) from None
            questions[split] += parse(lines, f"path={files[0]}", number)
    for split, rows in questions.items():
        if not rows:
            raise UserError(f"={path} has no questions qaN_*_{split}.txt.", "path")
    return questions
