"""Questions from files: easy-VQA's folder and VQA's JSON, hand-written."""

import json

import numpy as np
import pytest
from PIL import Image

from nets.data import questions
from nets.data.question_files import plain_answer
from nets.data.questions import Questions
from nets.errors import UserError

COLOURS = {1: (200, 0, 0), 2: (0, 200, 0), 7: (0, 0, 200)}


@pytest.fixture(autouse=True)
def forgotten():
    questions._corpus.cache_clear()


def write_easy(root, **changes):
    """Ten training images, one grey level each, and two of the test."""
    levels = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((8, 8, 3), np.uint8)
    np.savez(root / "images.npz", train_images=levels[:10], test_images=levels[10:])
    train = [["Is it a circle?", "yes", k] for k in range(10)]
    train += [["what color is the shape?", "red", k] for k in range(10)]
    test = [["what is the red thing?", "circle", 1], ["Is it a circle?", "no", 0]]
    files = {"train_questions": train, "test_questions": test} | changes
    for name, rows in files.items():
        (root / f"{name}.json").write_text(json.dumps(rows))
    (root / "answers.txt").write_text("circle\n red \nyes\n\nno\nlight blue\n")
    return {"path": str(root), "batch_size": 6, "eval_batch_size": 5, "image_size": 8}


def test_easy_vqa(tmp_path):
    data = Questions(**write_easy(tmp_path), max_length=5, validation=0.2)
    metadata = data.metadata()
    assert metadata["class_names"] == ["circle", "red", "yes", "no", "light blue"]
    assert metadata["vocabulary"] == ["", "<unk>", *"is a circle color it shape the what".split()]
    assert metadata["sizes"] == {"train": 16, "validation": 4, "test": 2}
    assert metadata["train_examples"] == 16 and metadata["question_types"] == [
        "yes_no", "colour", "shape",
    ]  # fmt: skip
    assert metadata["unknown"] == {"train": 0, "validation": 0, "test": 2}  # red, thing
    seen = set()
    for i in range(8):  # three epochs
        batch = data.train(0)[i]
        assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec().arrays
        for image, ids, target, kind in zip(*batch.values(), strict=True):
            text = data.tokenizer(metadata).decode(ids)
            assert (text, target, kind) in {
                ("is it a circle", 2, 0), ("what color is the shape", 1, 1),
            }  # fmt: skip
            seen.add((int(image[0, 0, 0]), text))
    assert len(seen) == 16
    held = {int(a) for a in data.evaluate("validation")[0]["inputs"][:4, 0, 0, 0]}
    assert len(held) == 2 and not held & {level for level, _ in seen}
    batch = data.evaluate("test")[0]
    assert batch["inputs"][:2, 0, 0, 0].tolist() == [11, 10] and batch["mask"].tolist()[:3] == [
        1,
        1,
        0,
    ]
    assert batch["targets"][:2].tolist() == [0, 3] and batch["types"][:2].tolist() == [2, 0]
    assert Questions(**write_easy(tmp_path), validation=0.0).splits() == ("test",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_questions": [["a", "b"]]}, r"must be a list of \[question, answer, index of one"),
        ({"train_questions": {"a": 1}}, r"must be a list of \[question, answer, index of one"),
        ({"test_questions": [["a", "yes", 2]]}, "index of one of 2 images"),
        ({"test_questions": [["a", "maybe", 1]]}, "has the answer 'maybe', not in answers.txt"),
        ({"images": None}, "has no images.npz; images.npz, train_questions.json"),
        ({"broken": None}, "images.npz has no train_images and test_images"),
        ({"answers": "yes\nno\nyes"}, "answers.txt has 'yes' more than once"),
        ({"test_questions": []}, "test_questions.json has no question"),
        ({"train_questions": []}, "train_questions.json asks about no image of its train split"),
        (
            {"train_questions": [["Is it a circle?", "yes", 0]]},
            "train_questions.json asks about no image of its validation split",
        ),
    ],
)
def test_mistakes_in_easy_vqa_are_named(changes, message, tmp_path):
    written = write_easy(tmp_path, **{k: v for k, v in changes.items() if v is not None})
    if "images" in changes:
        (tmp_path / "images.npz").unlink()
    if "broken" in changes:
        (tmp_path / "images.npz").write_bytes(b"PK")
    if "answers" in changes:
        (tmp_path / "answers.txt").write_text(changes["answers"])
    with pytest.raises(UserError, match=message) as error:
        Questions(**written).metadata()
    assert error.value.field == "path"


def test_a_validation_without_images_is_refused(tmp_path):
    with pytest.raises(UserError, match="=0.01 holds out none of 10 training images; 0 asks for"):
        Questions(**write_easy(tmp_path), validation=0.01).metadata()


ASKED = [  # image, question, question_id, answer_type, the answers of ten people
    (1, "What colour is it?", 10, "other", ["Red"] * 6 + ["the red.", "crimson", "blue", "no"]),
    (2, "Is it red?", 11, "yes/no", ["no"] * 10),
    (1, "How many are red?", 12, "number", ["one"] * 7 + ["2", "2", "red"]),
    (2, "What is it?", 13, "other", ["aardvark"] * 10),
    (2, "Is it green?", 14, "yes/no", ["no"] * 2 + ["yes"] * 8),
    (2, "Is it green?", 15, "yes/no", ["yes"] * 10),
    (1, "Is it red?", 16, "yes/no", ["red"] * 5 + ["yes"] * 5),
]


def write_vqa(root, prefix="", asked=ASKED, **changes):
    folder = root / f"{prefix}train2014"
    folder.mkdir(exist_ok=True)
    for k in {row[0] for row in asked} | {7}:
        picture = np.full((10, 16, 3), 255, np.uint8)
        picture[:, 3:13] = COLOURS[k]
        Image.fromarray(picture).save(folder / f"COCO_train2014_{k:012d}.png")
    table = [{"image_id": i, "question": q, "question_id": k} for i, q, k, *_ in asked]
    answers = [
        {
            "question_id": k,
            "image_id": i,
            "answer_type": kind,
            "question_type": "what",
            "multiple_choice_answer": max(given, key=given.count),
            "answers": [
                {"answer": a, "answer_confidence": "yes", "answer_id": n}
                for n, a in enumerate(given, 1)
            ],
        }
        for i, _, k, kind, given in reversed(asked)
    ]
    files = {"questions": {"questions": table}, "annotations": {"annotations": answers}} | changes
    options = {f"{prefix}images": str(folder)}
    for name, content in files.items():
        path = root / f"{prefix}{name}.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        options[f"{prefix}{name}"] = str(path)
    return options


VQA = {"image_size": 8, "num_answers": 3, "min_count": 2, "max_length": 4, "batch_size": 3}


@pytest.mark.parametrize("in_memory_mb", [100, 0])
def test_vqa_files(tmp_path, in_memory_mb):
    strange = (1, "Is the zebra striped, really or not?", 20, "yes/no", ["maybe"] * 6 + ["No."] * 4)
    options = write_vqa(tmp_path) | write_vqa(tmp_path, "validation_", [strange])
    data = Questions(**options | VQA, eval_batch_size=2, in_memory_mb=in_memory_mb)
    metadata = data.metadata()
    # of the answers that are right: red, no, 1, aardvark, yes, yes, red
    assert metadata["class_names"] == ["red", "yes", "1"]
    assert metadata["vocabulary"][:4] == ["", "<unk>", "is", "it"]
    assert metadata["unanswered"] == {"train": 2, "validation": 1}
    assert metadata["train_examples"] == 5 and metadata["long"]["validation"] == 1
    assert metadata["question_types"] == ["yes_no", "number", "other"]
    assert data.splits() == ("validation",)
    rows = {}
    for i in range(5):  # three epochs
        batch = data.train(0)[i]
        assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec().arrays
        for image, ids, target, kind, people in zip(*batch.values(), strict=True):
            text = data.tokenizer(metadata).decode(ids)
            image = tuple(image[4, 4].tolist())
            rows[image, text, int(target), int(kind)] = people.tolist()
    red, green = (COLOURS[k] for k in (1, 2))
    no, unknown = [-1], [-1]
    assert rows == {
        (red, "what <unk> is it", 0, 2): [0] * 7 + [-1] * 3,
        (red, "<unk> <unk> <unk> red", 2, 1): [2] * 7 + [-1, -1, 0],
        (green, "is it green", 1, 0): rows[green, "is it green", 1, 0],
        (red, "is it red", 0, 0): [0] * 5 + [1] * 5,
    }
    assert rows[green, "is it green", 1, 0] in (no * 2 + [1] * 8, [1] * 10)
    (batch,) = data.evaluate("validation")
    assert batch["targets"].tolist() == [-1, -1] and batch["mask"].tolist() == [1, 0]
    assert data.tokenizer(metadata).decode(batch["questions"][0]) == "is <unk> <unk> <unk>"
    assert batch["answers"][0].tolist() == unknown * 10
    path = tmp_path / "train2014" / "COCO_train2014_000000000007.png"
    batch, source = data.load_question(path, "Is it a zebra?", metadata)
    assert source["unknown"].tolist() == ["a", "zebra"] and batch["questions"][0].tolist()[2:] == [
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"images": "none"}, "images", "is no folder"),
        ({"questions": "{"}, "questions", "is not complete JSON"),
        ({"questions": {"a": 1}}, "questions", "is not VQA's JSON of questions"),
        ({"questions": {"questions": []}}, "questions", "has no question"),
        ({"annotations": {"a": 1}}, "annotations", "is not VQA's JSON of annotations"),
        ({"annotations": {"annotations": []}}, "questions", "has the question 10, without an answ"),
        (
            {"questions": {"questions": [{"image_id": 99, "question_id": 10, "question": "a"}]}},
            "questions",
            "asks about image 99, not in images=",
        ),
    ],
)
def test_mistakes_in_vqa_files_are_named(changes, field, message, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        Questions(**write_vqa(tmp_path, **changes) | VQA).metadata()
    assert error.value.field == field and "\n" not in str(error.value)


def test_mistakes_of_fields_are_named():
    with pytest.raises(UserError, match="questions needs images, which belongs to it"):
        Questions(questions="a.json")
    with pytest.raises(UserError, match="there is nothing to train on: give path"):
        Questions().metadata()
    with pytest.raises(UserError, match="validation must be at least 0 and below 1"):
        Questions(validation=1.0)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Two.", "2"), ("A red-haired man's", "red haired man's"), ("10,000", "10000"),
     ("$5", "$5"), ("50%", "50%"), ("4/5", "4 5"), ("3.5", "3.5"), ("yes, it is", "yes it is"),
     ("stop - go-kart", "stop gokart"), ("1,000-2,000", "10002000"), ("10:30\n", "10:30"),
     ("Don't", "don't"), ("the", "the"), ("  !  ", "!"), ("none", "0")],
)  # fmt: skip
def test_answers_are_normalised(text, plain):
    assert plain_answer(text) == plain
