"""Sentences with their classes: files of two columns, folders, TREC; mistakes by line number."""

import gzip
import types

import pytest

from nets.data import sentence_files
from nets.data.sentence_files import Labelled
from nets.errors import UserError

ROWS = [Labelled("so good , really", "pos"), Labelled('a "bad" film', "neg")]


def read(path, label_column=0, header=False):
    return sentence_files.read(f"path={path}", str(path), label_column, header)


def test_columns_of_every_kind(tmp_path):
    (tmp_path / "a.tsv").write_text('pos\tso good , really\n\nneg\ta "bad" film\n')
    (tmp_path / "b.tsv").write_text('text\tclass\nso good , really\tpos\r\na "bad" film\tneg\r\n')
    (tmp_path / "c.csv").write_text('pos,"so good , really"\nneg,"a ""bad"" film"\n')
    packed = gzip.compress((tmp_path / "c.csv").read_bytes())
    (tmp_path / "d.csv.gz").write_bytes(packed)
    assert read(tmp_path / "a.tsv") == ROWS
    assert read(tmp_path / "b.tsv", 1, True) == ROWS
    assert read(tmp_path / "c.csv") == read(tmp_path / "d.csv.gz") == ROWS


@pytest.mark.parametrize("names", [("rt-polarity.pos", "rt-polarity.neg"), ("pos.txt", "neg.txt")])
def test_a_folder_has_a_file_per_class(names, tmp_path):
    for row, name in zip(ROWS, names, strict=True):
        (tmp_path / name).write_text(f"{row.sentence}\n\n")
    (tmp_path / "README.md").write_text("about")
    (tmp_path / ".hidden").write_text("about")
    assert read(tmp_path) == sorted(ROWS, key=lambda row: row.label)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "pos\ta\n\nneg b\n", "line 3 must be two columns with a tab between them"),
        ("a.tsv", "pos\ta\tb\n", r"line 1 must be two columns .*; it has 3\.$"),
        ("a.csv", 'pos,"a\nb"\nneg\n', "line 3 must be two columns with a comma between them"),
        ("a.tsv", "pos\t \n", "line 1 has an empty column"),
        ("a.tsv", "", r"a.tsv has no sentences: it is empty\.$"),
        ("a.csv", "\n", r"a.csv has no sentences: it is empty\.$"),
        ("a.csv", f'pos,a\nneg,"{"b" * 200_000}', "line 2 is no CSV: field larger than"),
    ],
)
def test_a_mistake_is_named_by_its_line(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"^path=.*{message}"):
        read(tmp_path / name)


@pytest.mark.parametrize("names", [(), ("a.txt",), ("a.b", "b.a")])
def test_a_folder_without_classes(names, tmp_path):
    for name in names:
        (tmp_path / name).write_text("word\n")
    with pytest.raises(UserError, match="^path=.* must have a file for each class, two at least"):
        read(tmp_path)


def test_sentences_of_the_documentation(monkeypatch):
    text = (
        "First one of five words. Second of Five words here! x y\n\nToo short. (No letter at all.)"
    )
    documents = {f"m{k}.py": text.replace("one", f"m{k}") + "\n\nThe same in all the modules."
                 for k in range(9)}  # fmt: skip
    documents["m5.py"] += " A second sentence for this one. And a third one for it."
    monkeypatch.setattr(sentence_files.corpora, "docstrings", lambda: documents)
    rows = sentence_files.modules()
    assert rows[:2] == [
        Labelled("First m0 of five words.", "m0"), Labelled("Second of Five words here!", "m0")
    ] or rows[0] == Labelled("First m0 of five words.", "m0")  # fmt: skip
    assert sum(row.label == "m5" for row in rows) == 3
    assert sorted({row.label for row in rows}) == [f"m{k}" for k in range(8)]
    assert len({row.sentence for row in rows}) == len(rows)


@pytest.mark.parametrize("fine", [False, True])
def test_trec(fine, monkeypatch):
    records = [
        {"text": b"Who is it ? ", "label-coarse": 1, "label-fine": 0},
        {"text": "Where’s it ?".encode(), "label-coarse": 0, "label-fine": 2},
    ]
    features = {
        "label-coarse": types.SimpleNamespace(names=["LOC", "HUM"]),
        "label-fine": types.SimpleNamespace(names=["ind", "gr", "city"]),
    }
    split = types.SimpleNamespace(num_examples=2)
    info = types.SimpleNamespace(features=features, splits={"train": split, "test": split})
    builder = types.SimpleNamespace(info=info)
    monkeypatch.setattr(sentence_files.tfds, "prepared", lambda name, folder: builder)
    monkeypatch.setattr(
        sentence_files.tfds, "reader", lambda builder, split: lambda ids: [records[i] for i in ids]
    )
    rows = sentence_files.trec(None, fine)
    labels = ("ind", "city") if fine else ("HUM", "LOC")
    expected = [Labelled("Who is it ?", labels[0]), Labelled("Where’s it ?", labels[1])]
    assert rows == {"train": expected, "test": expected}
