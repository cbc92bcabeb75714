"""Pen strokes: files, batches of like length, what is cut off, and mistakes."""

import re

import numpy as np
import pytest

from nets.data import buckets, stroke_letters
from nets.data.strokes import Strokes
from nets.errors import UserError

LENGTHS = (4, 7, 2, 9, 5, 3)


def drawing(length, first=(1, -2)):
    steps = np.arange(length)
    points = np.stack([first[0] + steps, first[1] * np.ones(length), steps % 3 == 2], 1)
    points[-1, 2] = 1
    return points.astype(np.int16)


def arrays(lengths=LENGTHS, names=("train", "valid", "test"), **changes):
    made = {}
    for name in names:
        made[f"{name}_points"] = np.concatenate([drawing(n) for n in lengths])
        made[f"{name}_offsets"] = np.cumsum([0, *lengths])
    return made | changes


@pytest.fixture
def file(tmp_path):
    def write(**changes):
        np.savez(tmp_path / "mine.npz", **arrays(**changes))
        return str(tmp_path / "mine.npz")

    return write


def data(path, **fields):
    return Strokes(path=path, **{"max_points": 8, "batch_size": 2, "eval_batch_size": 4} | fields)


def test_a_batch_holds_points_and_those_before(file):
    strokes = data(file(), std=2.0)
    (batch, last) = strokes.evaluate("test")
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        "inputs": ((4, 8, 3), np.float32),
        "targets": ((4, 8, 3), np.float32),
        "mask": ((4, 8), np.float32),
    }
    expected = drawing(4).astype(np.float32) / [2, 2, 1]
    np.testing.assert_allclose(batch["targets"][2, :4], expected)
    assert not batch["targets"][2, 4:].any() and not batch["inputs"][:, 0].any()
    np.testing.assert_array_equal(batch["inputs"][:, 1:], batch["targets"][:, :-1])
    np.testing.assert_array_equal(batch["mask"].sum(1), [2, 3, 4, 5])
    np.testing.assert_array_equal(last["mask"].sum(1), [7, 8, 0, 0])  # one is cut off, of 9 points


def test_the_end_is_a_bit_of_the_last_point_and_is_not_there_where_a_drawing_is_cut_off(file):
    ends = np.concatenate([b["targets"][..., 3] for b in data(file(), end=True).evaluate("test")])
    assert [np.flatnonzero(row).tolist() for row in ends[:6]] == [[1], [2], [3], [4], [6], []]


def test_long_drawings_are_counted_and_left_out_of_training(file, monkeypatch):
    monkeypatch.setattr(buckets, "SORTED", 5)
    strokes = data(file(), end=True)
    metadata = strokes.metadata()
    assert metadata["long"] == {"train": 1, "validation": 1, "test": 1}
    assert metadata["train_examples"] == 5 and metadata["pens"] == 2
    lengths = [int(n) for i in range(5) for n in strokes.train(0)[i]["mask"].sum(1)]
    assert sorted(lengths) == sorted(2 * [n for n in LENGTHS if n <= 8])  # two epochs


def test_batches_have_few_widths_and_hold_like_lengths(file, monkeypatch):
    monkeypatch.setattr(buckets, "SORTED", 5)
    lengths = tuple(range(1, 11))
    strokes = data(file(lengths=lengths), max_points=10, widths=(4, 6))
    batches = [strokes.train(1)[i] for i in range(5)]
    widths = {batch["mask"].shape[1] for batch in batches}
    assert widths <= {4, 6, 10} and strokes.metadata()["shapes"] == 3
    spans = [np.ptp(batch["mask"].sum(1)) for batch in batches]
    assert max(spans) == 1  # sorted, two at a time
    assert strokes.metadata()["filled"]["test"] == 55 / (4 * 4 + 4 * 10 + 4 * 10)


def test_training_is_a_function_of_seed_and_step_and_noise_has_its_width(file):
    strokes = data(file(), dequantise=1.0, stretch=0.2, std=1.0)
    one, again = strokes.train(3)[4], strokes.train(3)[4]
    np.testing.assert_array_equal(one["targets"], again["targets"])
    assert (one["targets"] != strokes.train(4)[4]["targets"]).any()
    (evaluated, _), (same, _) = strokes.evaluate("test"), strokes.evaluate("test")
    np.testing.assert_array_equal(evaluated["targets"], same["targets"])
    noise = evaluated["targets"][2, :4, :2] - drawing(4)[:, :2]
    assert 0 < np.abs(noise).max() <= 0.5 and not evaluated["targets"][2, 4:].any()


def test_the_moments_are_numpys(file):
    strokes = data(file(), max_points=9, dequantise=1.2)
    metadata = strokes.metadata()
    points = arrays()["train_points"].astype(float)
    offsets = points[:, :2] / metadata["std"]
    assert metadata["std"] == pytest.approx(points[:, :2].std())
    np.testing.assert_allclose(metadata["moments"]["mean"], offsets.mean(0), rtol=1e-6)
    noise = 1.2**2 / 12 / metadata["std"] ** 2
    expected = np.cov(offsets.T, bias=True) + noise * np.eye(2)
    np.testing.assert_allclose(metadata["moments"]["covariance"], expected, rtol=1e-6)
    np.testing.assert_allclose(metadata["moments"]["bits"], [points[:, 2].mean()])


def test_a_first_point_of_zeros_is_left_out(file):
    points = np.concatenate([np.r_[[[0, 0, 0]], drawing(n - 1)] for n in LENGTHS])
    strokes = data(file(names=("train", "test"), train_points=points, test_points=points), std=1.0)
    (batch, _) = strokes.evaluate("test")
    np.testing.assert_array_equal(batch["mask"].sum(1), [1, 2, 3, 4])
    assert "validation" in strokes.splits()  # held out of the others
    assert strokes.metadata()["sizes"] == {"train": 5, "validation": 1, "test": 6}
    points, offsets = np.r_[points, [[0, 0, 1]]], np.cumsum([0, *LENGTHS, 1])
    lone = file(names=("train",), train_points=points, train_offsets=offsets)
    dots = data(lone, validation=0.0, test=0.0, end=True)
    assert dots.metadata()["sizes"] == {"train": 6}  # the point alone has no offset to predict


def test_texts_come_with_the_drawings(file):
    texts = {f"{name}_texts": ["ab", "b", "a c", "c", "bb", "a"] for name in ("train", "valid")}
    texts["test_texts"] = ["a", "c", "ab", "a", "b", "bx"]  # of 4, 7, 2, 9, 5, 3 points
    strokes = data(file(**texts))
    metadata = strokes.metadata()
    assert metadata["input_symbols"] == ["", "<unk>", "b", "a", "c", " "]
    (batch, _) = strokes.evaluate("test")
    np.testing.assert_array_equal(batch["text"], [[3, 2, 0, 0], [2, 1, 0, 0], [3, 0, 0, 0],
                                                  [2, 0, 0, 0]])  # fmt: skip
    assert strokes.tokenizer(metadata).encode("a b") == [3, 5, 2]
    assert strokes.spec().arrays["text"] == ((2, 4), np.int32)


def test_generated_words_are_written_letter_by_letter():
    strokes = Strokes(size=20, batch_size=4, eval_batch_size=4, max_points=200)
    batch = strokes.evaluate("test")[0]
    text = strokes.tokenizer(strokes.metadata()).decode(batch["text"][0])
    lifted = int(batch["targets"][0, :, 2].sum())
    expected = sum(1 + (letter in "fijkxt") for letter in text if letter != " ")
    assert lifted == expected and batch["mask"][0].sum() > 4 * len(text.replace(" ", ""))
    assert set(text) <= set(stroke_letters.ALPHABET)


XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<WhiteboardCaptureSession><WhiteboardDescription><SensorLocation corner="top_left"/>
</WhiteboardDescription><StrokeSet>
<Stroke colour="black" start_time="0" end_time="1">{points}</Stroke>
<Stroke colour="black" start_time="2" end_time="3"><Point x="20" y="20" time="2"/>
<Point x="23" y="24" time="3"/></Stroke></StrokeSet></WhiteboardCaptureSession>"""
POINTS = '<Point x="10" y="10" time="0"/><Point x="12" y="9" time="1"/>'


@pytest.fixture
def iam(tmp_path):
    def write(points=POINTS, forms=("a01-000u", "a01-001w", "a01-002z"), lists=True):
        for form in forms:
            folder = form[:3], form[:7]
            strokes = tmp_path.joinpath("lineStrokes", *folder)
            texts = tmp_path.joinpath("ascii", *folder)
            strokes.mkdir(parents=True, exist_ok=True)
            texts.mkdir(parents=True, exist_ok=True)
            for line in (1, 2):
                (strokes / f"{form}-0{line}.xml").write_text(XML.format(points=points))
            (texts / f"{form}.txt").write_text("OCR:\n\nA mcve\n\nCSR:\n\nA move to\nstop it\n")
        if lists:
            names = "trainset.txt", "testset_v.txt", "testset_t.txt"
            for name, form in zip(names, forms, strict=True):
                (tmp_path / name).write_text(f"{form}\n")
        return str(tmp_path)

    return write


def test_iam_on_db_is_read_as_published(iam):
    strokes = data(iam(), std=1.0)
    assert strokes.metadata()["sizes"] == {"train": 2, "validation": 2, "test": 2}
    (batch,) = strokes.evaluate("validation")
    expected = [[2, -1, 1], [8, 11, 0], [3, 4, 1]]  # without the first point
    np.testing.assert_array_equal(batch["targets"][0, :3], expected)
    tokenizer = strokes.tokenizer(strokes.metadata())
    assert list(map(tokenizer.decode, batch["text"][:2])) == ["A move to", "stop it"]


def test_iam_on_db_without_lists_is_all_for_training_but_a_share(iam):
    strokes = data(iam(lists=False), validation=0.2, test=0.2)
    assert strokes.metadata()["sizes"] == {"train": 4, "validation": 1, "test": 1}


def test_symbols_are_known_without_the_data():
    strokes = data("absent", symbols="abc ")
    assert strokes.spec().metadata == {"pens": 1, "vocab_size": 6}
    assert strokes.spec().arrays["text"][0][0] == 2


NAN = '<Point x="nan" y="10" time="0"/><Point x="12" y="9" time="1"/>'


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (NAN, "a01-000u-01.xml has a point that is not finite"),
        ('<Point x="a" y="1"/>', "a01-000u-01.xml has a Point without the numbers x and y"),
        ("<Point", "a01-000u-01.xml is no XML: "),
    ],
)
def test_bad_lines_of_iam_on_db_are_refused(iam, points, message):
    with pytest.raises(UserError, match=message):
        data(iam(points)).metadata()


def floats(index, value):
    points = arrays()["train_points"].astype(np.float32)
    points[index] = value
    return {"train_points": points}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ()}, "must have the arrays train_points .* it has none"),
        (floats(5, np.nan), r"not finite: train_points\[5\], of drawing 1"),
        ({"train_points": np.zeros((30, 2))}, r"train_points \[30, 2\] .* it must be \[N, 3\]"),
        ({"train_points": np.full((30, 3), "a")}, r"train_points \[30, 3\] <U1; it must be"),
        ({"train_offsets": np.array([0, 9, 4])}, "train_offsets that do not rise"),
        ({"train_offsets": np.array([0, 9, 4], np.uint8)}, "train_offsets that do not rise"),
        ({"train_offsets": np.array([2, 9])}, "train_offsets that do not rise"),
        ({"train_offsets": np.array(7)}, "train_offsets that do not rise"),
        ({"train_offsets": np.array(["0", "9"])}, "train_offsets that do not rise"),
        ({"train_points": np.zeros((30, 3)), "train_offsets": np.arange(7)}, "more than a point"),
        ({"train_offsets": np.array([0, 31])}, "train_offsets that do not rise"),
        ({"train_texts": ["a"]}, "has 1 train_texts for 6 drawings"),
    ],
)
def test_bad_arrays_are_refused(file, changes, message):
    with pytest.raises(UserError, match=message):
        data(file(**changes)).metadata()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(UserError, match="^path=.*text.npz cannot be read as .npz: it is not"):
        data(str(tmp_path / "text.npz")).metadata()
    with pytest.raises(UserError, match="^path=.*absent: no such file or folder"):
        data(str(tmp_path / "absent")).metadata()
    with pytest.raises(UserError, match=re.escape("has no lineStrokes/*/*/*.xml")):
        data(str(tmp_path)).metadata()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"widths": (9,)}, "widths must rise from 1 to below max_points=8, got 9"),
        ({"max_points": 0}, "max_points must be at least 1"),
        ({"stretch": 1.0}, "stretch must be at least 0 and below 1"),
        ({"std": 0.0}, "std must be above 0"),
        ({"name": "other"}, "name must be one of letters, got other"),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        data("mine.npz", **fields)


def test_a_limit_below_every_drawing_is_refused(file):
    with pytest.raises(UserError, match="max_points must hold a drawing .* the shortest has 2"):
        data(file(), max_points=1).metadata()
