"""Questions about stories: bAbI, or generated stories of its form."""

import dataclasses
import functools
import hashlib
import re
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nets.data import babi_files, buckets, stories
from nets.data.babi_files import Question
from nets.data.checks import check_fits
from nets.data.dataset import Batches, Dataset, Input, Spec, padded
from nets.data.tokenizers import UNKNOWN, Words, by_frequency, pad
from nets.errors import UserError, check_range

_SUPPORT = 3  # supporting sentences of a question, at most
_WORDS = 11  # words of bAbI's longest sentence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Babi(Dataset):
    """Questions about stories (Weston et al. 2015), of one task or of all together.

    A batch holds

        inputs   [B, S, J] int32, the words of the sentences before a question, in their order; 0
                 after the last word of each, and after the last sentence
        question [B, J] int32, its words, then 0
        targets  [B] int32, the answer, a word like the others
        support  [B, 3] int32, the sentences that lead to it, in the order of the file, then -1
        task     [B] int32, the number of the task

    J are the words of the longest sentence. Of longer stories the last `max_memories` sentences are
    kept ("long" of the metadata counts them; a supporting sentence before those is left out). S is
    the smallest of `widths` that holds the batch, or the sentences of the longest story. Words are
    in lower case, and known where the training file has them; others are the symbol 1. Every tenth
    story of the training text is validated on.

    Attributes:
        path: folder of bAbI's files, qa1_..._train.txt and so on. None means generated stories
            (`nets.data.stories`), tasks 1 to 3.
        task: number of the task. None means all.
        questions: questions of each task in the training text and in the test, where stories are
            generated; each has five, so that a rest is left out.
        max_memories: sentences S at most.
        widths: other numbers of sentences, rising and below max_memories, that a batch may have.
        batch_size: questions in a training batch.
        eval_batch_size: questions in a batch of an evaluation.
    """

    reads_prompts: ClassVar[bool] = True

    path: str | None = None
    task: int | None = None
    questions: int = 1000
    max_memories: int = 50
    widths: tuple[int, ...] = (10, 20)
    batch_size: int = 32
    eval_batch_size: int = 100

    def __post_init__(self) -> None:
        check_range(self, "task", at_least=1, at_most=self._tasks()[-1])
        check_range(self, "questions", at_least=50)
        check_range(self, "max_memories", at_least=1)
        check_range(self, "batch_size", "eval_batch_size", at_least=1)
        buckets.check_widths(self.widths, self.max_memories, "max_memories")

    def train(self, seed: int) -> Batches:
        corpus = self._corpus()
        rows, widths = corpus.rows["train"], self._widths(corpus.max_memories)
        check_fits(self, len(rows.targets), "training questions")
        chosen = buckets.training_rows(seed, self.batch_size, rows.lengths, widths[:-1])
        return Batches(lambda i: rows.batch(chosen(i), widths))

    def evaluate(self, split: str) -> Batches:
        """All batches of a split, sorted by the length of the story."""
        self.check_split(split, "train")
        corpus = self._corpus()
        rows, widths = corpus.rows[split], self._widths(corpus.max_memories)
        order = np.argsort(rows.lengths, kind="stable")
        return padded(
            len(order),
            self.eval_batch_size,
            lambda chosen: rows.batch(order[chosen], widths),
        )

    def splits(self) -> tuple[str, ...]:
        return ("validation", "test")

    def spec(self) -> Spec:
        """The shapes; of files that are missing, numbers of words and questions are bAbI's."""
        facts = "vocab_size", "train_examples", "max_memories", "max_words"
        try:
            metadata = self.metadata()
            known = {name: metadata[name] for name in facts}
        except UserError:
            known = {"vocab_size": 175, "train_examples": 18_020 if self.task is None else 900}
            known |= {"max_memories": self.max_memories, "max_words": _WORDS}
        b, j, ids = self.batch_size, known["max_words"], np.dtype(np.int32)
        arrays = {
            "inputs": ((b, known["max_memories"], j), ids),
            "question": ((b, j), ids),
            "targets": ((b,), ids),
            "support": ((b, _SUPPORT), ids),
            "task": ((b,), ids),
        }
        return Spec(arrays, known)

    def metadata(self) -> dict[str, Any]:
        """vocab_size and vocabulary, tasks (their numbers) and task_names, digest, train_examples,
        max_memories (S) and max_words (J) of the longest, shapes (of batches, at most), and by
        split: sizes and long (stories that are cut off).

        Raises:
            UserError: a file is missing or not as it should be.
        """
        corpus = self._corpus()
        tasks = sorted({int(k) for k in corpus.rows["train"].tasks})
        names = stories.NAMES if self.path is None else babi_files.NAMES
        return {
            "vocab_size": len(corpus.vocabulary),
            "vocabulary": list(corpus.vocabulary),
            "tasks": tasks,
            "task_names": [names[k - 1] for k in tasks],
            "digest": corpus.digest,
            "train_examples": len(corpus.rows["train"].targets),
            "max_memories": corpus.max_memories,
            "max_words": corpus.max_words,
            "shapes": len(self._widths(corpus.max_memories)),
            "sizes": {split: len(rows.targets) for split, rows in corpus.rows.items()},
            "long": corpus.long,
        }

    def tokenizer(self, metadata: dict[str, Any]) -> Words:
        return Words(tuple(metadata["vocabulary"]), lower=True)

    def read_prompt(self, text: str, metadata: dict[str, Any]) -> Input:
        """A story and, in the end, its question: "Anna went to the hall. Where is Anna?"."""
        stripped = text.strip()
        parts = [*map(babi_files.split_words, re.split("[.!?]", stripped.removesuffix("?")))]
        *sentences, question = [words for words in parts if words] or [()]
        if text.count("?") != 1 or not stripped.endswith("?") or not parts[-1]:
            raise UserError(
                f"must have one question, the last, with a question mark, got {text!r}.",
                "prompt",
            )
        ids = {word: k for k, word in enumerate(metadata["vocabulary"])}
        if unknown := sorted({w for s in (*sentences, question) for w in s if w not in ids}):
            raise UserError(f"has words that the training text has not: {', '.join(unknown)}.",
                            "prompt")  # fmt: skip
        memories, longest = metadata["max_memories"], metadata["max_words"]
        if not sentences or len(sentences) > memories:
            raise UserError(
                f"must have from 1 to {memories} sentences before its question, as stories of the "
                f"training have, got {len(sentences)}.",
                "prompt",
            )
        if (most := max(map(len, (*sentences, question)))) > longest:
            raise UserError(
                f"must have at most {longest} words in a sentence, as in the training, got {most}.",
                "prompt",
            )
        width = buckets.width_of(self._widths(memories), np.array([len(sentences)]))
        inputs = pad([[ids[w] for w in s] for s in sentences], longest)
        batch = {
            "inputs": np.pad(inputs, ((0, width - len(inputs)), (0, 0)))[None],
            "question": pad([[ids[w] for w in question]], longest),
        }
        return Input(batch, {"words": np.array([*map(" ".join, (*sentences, question))])})

    def _widths(self, memories: int) -> tuple[int, ...]:
        return (*(width for width in self.widths if width < memories), memories)

    def _tasks(self) -> tuple[int, ...]:
        return stories.TASKS if self.path is None else tuple(range(1, len(babi_files.NAMES) + 1))

    def _corpus(self) -> "Corpus":
        return _corpus(self.path, self.task, self.questions, self.max_memories)


class Rows(NamedTuple):
    """The encoded questions of a split; lengths [N] are numbers of sentences."""

    inputs: np.ndarray
    lengths: np.ndarray
    question: np.ndarray
    targets: np.ndarray
    support: np.ndarray
    tasks: np.ndarray

    def batch(self, chosen: np.ndarray, widths: tuple[int, ...]) -> dict[str, np.ndarray]:
        """The batch of these questions, of the smallest of the widths that holds their stories."""
        return {
            "inputs": self.inputs[chosen, : buckets.width_of(widths, self.lengths[chosen])],
            "question": self.question[chosen],
            "targets": self.targets[chosen],
            "support": self.support[chosen],
            "task": self.tasks[chosen],
        }


class Corpus(NamedTuple):
    """Questions, encoded by the words of the training text, and the longest story and sentence."""

    vocabulary: tuple[str, ...]
    rows: dict[str, Rows]
    long: dict[str, int]
    max_memories: int
    max_words: int
    digest: str


@functools.lru_cache(maxsize=4)
def _corpus(path, task, questions, max_memories) -> Corpus:
    texts = _generated(task, questions) if path is None else babi_files.read(path, task)
    held_out = [q for q in texts["train"] if q.story % 10 == 9]
    texts = {
        "train": [q for q in texts["train"] if q.story % 10 != 9],
        "validation": held_out,
        "test": texts["test"],
    }
    for split, rows in texts.items():
        if not rows:
            raise UserError(f"={path} has too few stories for the {split} split.", "path")
    read = [q for rows in texts.values() for q in rows]
    memories = min(max_memories, max(len(q.sentences) for q in read))
    words = max(len(s) for q in read for s in (*q.sentences[-memories:], q.words))
    told = [*texts["train"], *held_out]
    known = (w for q in told for s in (*q.sentences, q.words, (q.answer,)) for w in s)
    vocabulary = by_frequency(known, ("", UNKNOWN))
    ids = {word: k for k, word in enumerate(vocabulary)}
    encoded = {s: _encoded(q, ids, memories, words) for s, q in texts.items()}
    long = {s: sum(len(q.sentences) > memories for q in rows) for s, rows in texts.items()}
    digest = hashlib.blake2b("\0".join(vocabulary).encode(), digest_size=16)
    for split, rows in encoded.items():
        for array in rows:
            digest.update(f"\0{split} {array.shape}\0".encode() + array.tobytes())
    return Corpus(vocabulary, encoded, long, memories, words, digest.hexdigest())


def _generated(task: int | None, questions: int) -> dict[str, list[Question]]:
    """Questions of generated stories, always the same."""
    tasks = stories.TASKS if task is None else (task,)
    return {
        split: [
            question
            for k in tasks
            for question in stories.generate(k, questions // 5, np.random.default_rng((seed, k)))
        ]
        for seed, split in enumerate(("train", "test"))
    }


def _encoded(
    questions: list[Question], ids: dict[str, int], max_memories: int, max_words: int
) -> Rows:
    count = len(questions)
    inputs = np.zeros((count, max_memories, max_words), np.int32)
    asked = np.zeros((count, max_words), np.int32)
    support = np.full((count, _SUPPORT), -1, np.int32)
    for row, question in enumerate(questions):
        sentences = question.sentences[-max_memories:]
        for place, words in enumerate(sentences):
            inputs[row, place, : len(words)] = [ids.get(word, 1) for word in words]
        asked[row, : len(question.words)] = [ids.get(word, 1) for word in question.words]
        gone = len(question.sentences) - len(sentences)
        kept = [k - gone for k in question.support if k >= gone][:_SUPPORT]
        support[row, : len(kept)] = kept
    lengths = np.array([min(len(q.sentences), max_memories) for q in questions])
    targets = np.array([ids.get(q.answer, 1) for q in questions], np.int32)
    tasks = np.array([q.task for q in questions], np.int32)
    return Rows(inputs, lengths, asked, targets, support, tasks)
