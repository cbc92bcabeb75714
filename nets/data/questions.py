"""Questions about images from files of one's own: easy-VQA's folder, or the files of VQA v2."""

import dataclasses
import functools
import hashlib
import os
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nets.data import image_source, input_images, question_files, question_words
from nets.data.caption_files import Square
from nets.data.checks import check_fits
from nets.data.dataset import Batches, Dataset, Input, Spec, padded, shuffled
from nets.data.image_source import ImageSet
from nets.data.question_files import Asked, Files
from nets.data.tokenizers import UNKNOWN, Words, by_frequency, pad
from nets.errors import UserError, check_range

_PEOPLE = 10  # who have answered a question of VQA
_EASY_ANSWERS = 13


@dataclasses.dataclass(frozen=True, kw_only=True)
class Questions(Dataset):
    """Images, a question about each, and one of a number of answers.

    Questions are in lower case and without marks; 0 is the end, 1 a word that is rare in training.
    A batch holds

        inputs     [B, S, S, 3] uint8, RGB, the middle square of each image
        questions  [B, max_length] int32, words, then 0
        targets    [B] int32, the answers
        types      [B] int32, the types of the questions
        answers    [B, 10] int32, those of ten people; of VQA v2 alone

    S being image_size, and in an evaluation "mask" [B] float32. An answer that is none of those
    known is -1; training leaves such questions out, an evaluation keeps them. All training
    questions come once per epoch, in an order drawn anew for each. Types are, of easy-VQA, yes_no,
    colour and shape; of VQA v2 yes_no, number and other.

    Attributes:
        path: folder of easy-VQA (images.npz, train_questions.json, test_questions.json,
            answers.txt); is taken instead of the files below.
        validation: share of easy-VQA's training images that is held out, with their questions.
        images: folder of VQA's images to train on.
        questions: file of questions about them (v2_OpenEnded_mscoco_train2014_questions.json).
        annotations: file of their answers (v2_mscoco_train2014_annotations.json).
        validation_images: the same for validation. None means no such split.
        validation_questions: questions about these.
        validation_annotations: their answers.
        test_images: the same for the test. None means no such split.
        test_questions: questions about these.
        test_annotations: their answers.
        num_answers: answers that are known, the most frequent of VQA's training questions.
        image_size: side in pixels of the square that each image becomes.
        short_side: pixels that a photograph's shorter side is resized to, before the middle square
            of image_size is cut out. None means image_size.
        min_count: times that a word occurs in the training questions to have an id of its own.
        max_length: maximum of words in a question; what is above is cut off.
        batch_size: questions in a training batch.
        eval_batch_size: questions in a batch of an evaluation.
        in_memory_mb: size in MB above which photographs are not held in memory but decoded in
            threads ahead of the step.
    """

    path: str | None = None
    validation: float = 0.1
    images: str | None = None
    questions: str | None = None
    annotations: str | None = None
    validation_images: str | None = None
    validation_questions: str | None = None
    validation_annotations: str | None = None
    test_images: str | None = None
    test_questions: str | None = None
    test_annotations: str | None = None
    num_answers: int = 1000
    image_size: int = 64
    short_side: int | None = None
    min_count: int = 1
    max_length: int = 26
    batch_size: int = 64
    eval_batch_size: int = 200
    in_memory_mb: int = 1024

    input_suffixes: ClassVar[tuple[str, ...]] = input_images.SUFFIXES
    reads_questions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range(self, "image_size", "min_count", "max_length", at_least=1)
        check_range(self, "batch_size", "eval_batch_size", at_least=1)
        check_range(self, "num_answers", at_least=2)
        check_range(self, "validation", at_least=0, below=1)
        check_range(self, "in_memory_mb", at_least=0)
        if self.short_side is not None:
            check_range(self, "short_side", at_least=self.image_size)
        for fields in _FILES.values():
            given = [field for field in fields if getattr(self, field) is not None]
            if 0 < len(given) < 3:
                lacking = next(field for field in fields if field not in given)
                raise UserError(f"needs {lacking}, which belongs to it.", given[0])

    def train(self, seed: int) -> Batches:
        corpus = self._corpus()
        known = np.flatnonzero(corpus.rows["train"].targets >= 0)
        check_fits(self, len(known), "training questions of a known answer")

        def batch(i: int) -> dict[str, np.ndarray]:
            return _batch(corpus, "train", known[shuffled(seed, len(known), self.batch_size, i)])

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        self.check_split(split)
        corpus = self._corpus()
        return padded(
            len(corpus.rows[split].targets),
            self.eval_batch_size,
            lambda rows: _batch(corpus, split, rows),
        )

    def splits(self) -> tuple[str, ...]:
        if self.path is not None:
            return ("validation", "test") if self.validation else ("test",)
        return tuple(split for split in self._files() if split != "train")

    def spec(self) -> Spec:
        """The shapes; the size of the vocabulary stands in for that of the files, unread."""
        b, s, ids = self.batch_size, self.image_size, np.dtype(np.int32)
        arrays = {
            "inputs": ((b, s, s, 3), np.dtype(np.uint8)),
            "questions": ((b, self.max_length), ids),
            "targets": ((b,), ids),
            "types": ((b,), ids),
        }
        if self.path is None:
            arrays["answers"] = ((b, _PEOPLE), ids)
        answers = self.num_answers if self.path is None else _EASY_ANSWERS
        metadata = {"vocab_size": 10_000, "num_classes": answers, "question_types": self._types}
        return Spec(arrays, metadata)

    def metadata(self) -> dict[str, Any]:
        """vocab_size and vocabulary (word k has the id k), num_classes and class_names (the
        answers), question_types, digest, train_examples, and by split: sizes, long (questions
        above max_length), unknown (words that are) and unanswered (questions of no known answer).

        Raises:
            UserError: no files are given, or what `nets.data.question_files` says.
        """
        corpus = self._corpus()
        return {
            "vocab_size": len(corpus.vocabulary),
            "vocabulary": list(corpus.vocabulary),
            "num_classes": len(corpus.answers),
            "class_names": list(corpus.answers),
            "question_types": self._types,
            "digest": corpus.digest,
            "train_examples": int((corpus.rows["train"].targets >= 0).sum()),
            "sizes": {split: len(rows.targets) for split, rows in corpus.rows.items()},
            **corpus.counts,
        }

    def tokenizer(self, metadata: dict[str, Any]) -> Words:
        return Words(tuple(metadata["vocabulary"]), question_words.WORDS, lower=True)

    def target_tokenizer(self, metadata: dict[str, Any]) -> None:
        return None

    def load_question(self, path: Path, text: str, metadata: dict[str, Any]) -> Input:
        """The middle square of an image, as in an evaluation, and a question.

        Words that the model does not know are read as the unknown where training has met that
        (min_count above 1), and else refused.
        """
        square = Square(self.image_size, self.short_side or self.image_size)
        image = input_images.load(path, 3, square, metadata)
        words, lossy = self.tokenizer(metadata), self.min_count > 1
        return question_words.with_question(image, text, words, self.max_length, lossy)

    @property
    def read_threads(self) -> int:
        return 1 if self._corpus().images.stamp is None else min(16, os.cpu_count() or 1)

    @property
    def _types(self) -> list[str]:
        easy = self.path is not None
        return list(question_files.EASY_TYPES if easy else question_files.VQA_TYPES)

    def _files(self) -> dict[str, Files]:
        files = {}
        for split, fields in _FILES.items():
            given = [getattr(self, field) for field in fields]
            if None not in given:
                settings = tuple(f"{k}={v}" for k, v in zip(fields, given, strict=True))
                files[split] = Files(*(Path(one).expanduser() for one in given), settings)
        return files

    def _corpus(self) -> "Corpus":
        files = self._files()
        if self.path is None and "train" not in files:
            raise UserError(
                "there is nothing to train on: give path (the folder of easy-VQA), or images, "
                "questions and annotations (those of VQA v2)."
            )
        where = (self.path, self.validation) if self.path is not None else tuple(files.items())
        square = Square(self.image_size, self.short_side or self.image_size)
        vocabulary = (self.num_answers, self.min_count, self.max_length)
        return _corpus(self.path is not None, where, square, self.in_memory_mb, *vocabulary)


_FILES = {
    split: tuple(f"{prefix}{field}" for field in ("images", "questions", "annotations"))
    for split, prefix in (("train", ""), ("validation", "validation_"), ("test", "test_"))
}


class Rows(NamedTuple):
    """The N questions of a split."""

    images: np.ndarray  # [N]
    questions: np.ndarray  # [N, max_length] int32
    targets: np.ndarray  # [N] int32
    types: np.ndarray  # [N] int32
    answers: np.ndarray | None  # [N, 10] int32


class Corpus(NamedTuple):
    """Questions, encoded by the words and the answers of the training split."""

    images: ImageSet
    rows: dict[str, Rows]
    vocabulary: tuple[str, ...]
    answers: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    digest: str


@functools.lru_cache(maxsize=2)
def _corpus(easy, where, square, in_memory_mb, num_answers, min_count, max_length) -> Corpus:
    if easy:
        images, asked, answers = question_files.easy_vqa(where[0], square.side, where[1])
        kinds = question_files.EASY_TYPES
    else:
        images, asked, answers = question_files.vqa(dict(where), square)
        kinds = question_files.VQA_TYPES
        if images.nbytes <= in_memory_mb * 1e6:
            images = image_source.load_into_memory(images)
    answers = answers or by_frequency((one.answer for one in asked["train"]), (), num_answers)
    words = Words((), question_words.WORDS, lower=True)
    training = (word for one in asked["train"] for word in words.split(one.question))
    vocabulary = by_frequency(training, ("", UNKNOWN), min_count=min_count)
    words = dataclasses.replace(words, vocabulary=vocabulary)
    digest = hashlib.blake2b(
        "\0".join((images.digest, *vocabulary, *answers)).encode(), digest_size=16
    )
    rows, counts = {}, {"long": {}, "unknown": {}, "unanswered": {}}
    for split, questions in asked.items():
        encoded = [words.encode_lossy(one.question) for one in questions]
        rows[split] = _encoded(questions, pad(encoded, max_length), answers, kinds, easy)
        counts["long"][split] = sum(len(ids) > max_length for ids in encoded)
        counts["unknown"][split] = int(sum((ids == 1).sum() for ids in encoded))
        counts["unanswered"][split] = int((rows[split].targets < 0).sum())
        for array in rows[split]:
            if array is not None:
                digest.update(f"\0{split} {array.shape}\0".encode() + array.tobytes())
    return Corpus(images, rows, vocabulary, answers, counts, digest.hexdigest())


def _encoded(
    questions: list[Asked], ids: np.ndarray, answers: tuple[str, ...], kinds: tuple, easy: bool
) -> Rows:
    index = {answer: k for k, answer in enumerate(answers)}
    people = np.full((len(questions), _PEOPLE), -1, np.int32)
    for row, one in zip(people, questions, strict=True):
        given = [index.get(answer, -1) for answer in one.people[:_PEOPLE]]
        row[: len(given)] = given
    return Rows(
        np.array([one.image for one in questions], np.int32),
        ids,
        np.array([index.get(one.answer, -1) for one in questions], np.int32),
        np.array([kinds.index(one.kind) for one in questions], np.int32),
        None if easy else people,
    )


def _batch(corpus: Corpus, split: str, chosen: np.ndarray) -> dict[str, np.ndarray]:
    rows = corpus.rows[split]
    batch = {
        "inputs": corpus.images.read(split, rows.images[chosen])[0],
        "questions": rows.questions[chosen],
        "targets": rows.targets[chosen],
        "types": rows.types[chosen],
    }
    return batch if rows.answers is None else batch | {"answers": rows.answers[chosen]}
