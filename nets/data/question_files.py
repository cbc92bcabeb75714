"""Questions about images as they are stored: easy-VQA's folder, or the files of VQA v2."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.data import corpora, image_files, image_source
from nets.data.annotations import Example
from nets.data.caption_files import Square
from nets.data.holdout import holdout
from nets.data.image_source import ImageSet, Transform
from nets.errors import about

EASY_TYPES = ("yes_no", "colour", "shape")
VQA_TYPES = ("yes_no", "number", "other")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {word: str(k) for k, word in enumerate(_NUMBERS)} | {"none": "0"}
_ARTICLES = {"a", "an", "the"}
_MARKS = ';/[]"{}()=+\\_-><@`,?!'


class Asked(NamedTuple):
    """A question about an image.

    Attributes:
        image: the index of the image in its split.
        question: as it is stored.
        answer: that is right.
        people: the answers of several people; none where there is one answer alone.
        kind: the type of the question.
    """

    image: int
    question: str
    answer: str
    people: tuple[str, ...]
    kind: str


class QuestionSet(NamedTuple):
    """Images and questions about them.

    Attributes:
        images: RGB, of no classes; their labels are 0.
        questions: by split.
        answers: all that there are, in their order; empty where they are to be counted.
    """

    images: ImageSet
    questions: dict[str, list[Asked]]
    answers: tuple[str, ...]


class Files(NamedTuple):
    """A folder of images, files of questions and of their answers, and how they were given."""

    folder: Path
    questions: Path
    annotations: Path
    settings: tuple[str, str, str]


def easy_vqa(path: str, side: int, validation: float) -> QuestionSet:
    """easy-VQA, a folder with

        images.npz            train_images and test_images [N, H, W, 3] uint8
        train_questions.json  a list of [question, answer, index of the image]
        test_questions.json   the same
        answers.txt           an answer on each line, no two the same

    Args:
        path: the folder.
        side: pixels that images are resized to.
        validation: share of the training images that, with all of their questions, is held out.

    Raises:
        UserError: a file is missing or has another form, or a split is without a question.
    """
    setting, root = f"path={path}", Path(path).expanduser()
    names = ("images.npz", "train_questions.json", "test_questions.json", "answers.txt")
    if missing := [name for name in names if not (root / name).is_file()]:
        raise about(setting, f"has no {missing[0]}; {', '.join(names)} are needed.")
    lines = corpora.read(root / "answers.txt", setting).splitlines()
    answers = tuple(line.strip() for line in lines if line.strip())
    if repeated := [answer for answer, times in Counter(answers).items() if times > 1]:
        raise about(setting, f"answers.txt has {repeated[0]!r} more than once.")
    try:
        with np.load(root / "images.npz") as archive:
            stored = {split: archive[f"{split}_images"] for split in ("train", "test")}
    except Exception as error:  # numpy, zipfile and zlib raise each their own
        raise about(setting, f"images.npz has no train_images and test_images: {error}") from None
    for split, images in stored.items():
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
            raise about(
                setting,
                f"images.npz must hold uint8 [N, H, W, 3], {split}_images is {images.dtype} "
                f"{list(images.shape)}.",
            )
    questions = {
        split: _easy(root / f"{split}_questions.json", setting, len(images), answers)
        for split, images in stored.items()
    }
    held, rest = holdout(len(stored["train"]), validation)
    if validation and not held:
        raise about(
            f"validation={validation:g}",
            f"holds out none of {len(rest)} training images; 0 asks for no validation.",
        )
    arrays, by_split = {"test_images": stored["test"]}, {"test": questions["test"]}
    for split, rows in (("train", rest), ("validation", held)):
        index = {row: k for k, row in enumerate(rows)}
        arrays[f"{split}_images"] = stored["train"][rows]
        by_split[split] = [
            one._replace(image=index[one.image]) for one in questions["train"] if one.image in index
        ]
        if rows and not by_split[split]:
            raise about(setting, f"train_questions.json asks about no image of its {split} split.")
    if not by_split["test"]:
        raise about(setting, "test_questions.json has no question.")
    for split in by_split:
        images = [image_source.resize(image, side) for image in arrays[f"{split}_images"]]
        arrays[f"{split}_images"] = (
            np.stack(images) if images else np.zeros((0, side, side, 3), "u1")
        )
        arrays[f"{split}_labels"] = np.zeros(len(images), np.int32)
    digest = image_source.digest_of(arrays)
    return QuestionSet(image_source.from_arrays(root.name, (), arrays, digest), by_split, answers)


def _easy(path: Path, setting: str, images: int, answers: tuple[str, ...]) -> list[Asked]:
    rows = _json(path, f"{setting}/{path.name}")
    found = []
    for row in rows if isinstance(rows, list) else [None]:
        match row:
            case [str(question), str(answer), int(image)] if image in range(images):
                pass
            case _:
                raise about(
                    setting,
                    f"{path.name} must be a list of [question, answer, index of one of {images} "
                    f"images], got {json.dumps(row)[:80]}.",
                )
        if answer not in answers:
            raise about(setting, f"{path.name} has the answer {answer!r}, not in answers.txt.")
        kind = "yes_no" if answer in ("yes", "no") else "colour" if "color" in question else "shape"
        found.append(Asked(image, question, answer, (), kind))
    return found


def vqa(files: dict[str, Files], square: Square) -> QuestionSet:
    """Photographs and questions in the JSON files of VQA v2 (visualqa.org), by split.

    A file of questions has a list "questions" of objects with image_id, question and question_id,
    one of annotations a list "annotations" with question_id, answer_type, multiple_choice_answer
    and answers, of which each has an answer. The image of an image_id is the file of the folder
    whose name ends in that number (COCO_train2014_000000000042.jpg). Answers are compared as
    `plain_answer` has them.

    Raises:
        UserError: a file cannot be read or has another form, or no question, a question has no
            annotation, or an image is not in the folder.
    """
    paths: dict[str, list[Path]] = {}
    questions, stats = {}, []
    for split, one in files.items():
        if not one.folder.is_dir():
            raise about(one.settings[0], "is no folder.")
        by_id = {
            int(number[0]): path
            for path in sorted(one.folder.iterdir())
            if path.suffix.lower() in image_files.SUFFIXES
            and (number := re.findall(r"\d+$", path.stem))
        }
        asked = _asked(one)
        used = sorted({image for image, _ in asked})
        if absent := [image for image in used if image not in by_id]:
            more = f" and {len(absent) - 1:,} more" if len(absent) > 1 else ""
            raise about(
                one.settings[1], f"asks about image {absent[0]}{more}, not in {one.settings[0]}."
            )
        index = {image: k for k, image in enumerate(used)}
        paths[split] = [by_id[image] for image in used]
        questions[split] = [row._replace(image=index[image]) for image, row in asked]
        stats += [(path.name, path.stat()) for path in paths[split]]

    def read(
        split: str, indices: np.ndarray, fit: Transform = square
    ) -> tuple[np.ndarray, np.ndarray]:
        pictures = (image_files.read_image(paths[split][i], _rgb) for i in indices)
        images = [fit(Example(picture)).image for picture in pictures]
        return np.stack(images), np.zeros(len(images), np.int32)

    digest, changes = image_source.fingerprint(str(square), stats)
    stamp = f"{[one.folder.resolve() for one in files.values()]} {changes}"
    sizes = {split: len(images) for split, images in paths.items()}
    shape = (square.side, square.side, 3)
    name = files["train"].folder.resolve().name
    return QuestionSet(ImageSet(name, shape, (), sizes, read, digest, stamp), questions, ())


def _asked(files: Files) -> list[tuple[int, Asked]]:
    """The questions of a split with the ids of their images."""
    _, setting, answer_setting = files.settings
    try:
        annotations = {
            row["question_id"]: Asked(
                -1,
                "",
                plain_answer(row["multiple_choice_answer"]),
                tuple(plain_answer(each["answer"]) for each in row["answers"]),
                row["answer_type"].replace("/", "_"),
            )
            for row in _json(files.annotations, answer_setting)["annotations"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise about(
            answer_setting,
            "is not VQA's JSON of annotations: question_id, answer_type, multiple_choice_answer "
            "and answers, each with an answer.",
        ) from error
    if wrong := sorted({row.kind for row in annotations.values()} - {*VQA_TYPES}):
        raise about(
            answer_setting, f"has the answer_type {wrong[0]!r}; yes/no, number and other are valid."
        )
    try:
        rows = [
            (row["image_id"], row["question_id"], str(row["question"]))
            for row in _json(files.questions, setting)["questions"]
        ]
    except (KeyError, TypeError) as error:
        raise about(
            setting, "is not VQA's JSON of questions: image_id, question and question_id."
        ) from error
    if not rows:
        raise about(setting, "has no question.")
    if absent := [number for _, number, _ in rows if number not in annotations]:
        raise about(
            setting, f"has the question {absent[0]}, without an answer in {answer_setting}."
        )
    return [(image, annotations[k]._replace(question=text)) for image, k, text in rows]


def plain_answer(text: str) -> str:
    """An answer in lower case, without marks and articles, numbers up to ten as digits.

    That is the normalisation of VQA's evaluation code, but for its list of contractions, and that
    an answer of nothing else stays as it is. A mark inside a word becomes a space, unless the same
    mark stands at a word's end, or there is a comma between two digits: then it is left out.

    >>> plain_answer("The Two dogs."), plain_answer("t-shirt"), plain_answer("10,000")
    ('2 dogs', 't shirt', '10000')
    """
    plain = text = " ".join(text.split())
    for mark in _MARKS:
        apart = f"{mark} " in text or f" {mark}" in text or re.search(r"\d,\d", text)
        plain = plain.replace(mark, "" if apart else " ")
    words = re.sub(r"\.(?!\d)", "", plain).lower().split()
    words = [_DIGITS.get(word, word) for word in words if word not in _ARTICLES]
    return " ".join(words) or text.lower()


def _json(path: Path, setting: str) -> Any:
    try:
        return json.loads(corpora.read(path, setting))
    except json.JSONDecodeError as error:
        raise about(setting, f"is not complete JSON: {error}.") from None


def _rgb(picture: Any) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))
