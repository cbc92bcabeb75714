"""Files in columns: sentences and tags, and mistakes by line number."""

import gzip

import pytest

from nets.data import column_files
from nets.data.column_files import Tagged
from nets.errors import UserError

CHUNKS = "He PRP B-NP\nruns VBZ B-VP\n\n\n# # B-NP\n1 CD I-NP\n"
CONLLU = (
    "# sent_id = 1\n# text = Don't go\n1-2\tDon't\t_\n1\tDo\tAUX\n2\tn't\tPART\n3\tgo\tVERB\n"
    "3.1\tgone\tVERB\n\n# a comment\n1\tNew York\tPROPN\n\n"
)


def read(path, *columns):
    return column_files.read(f"path={path}", str(path), *columns)


def test_columns_between_spaces(tmp_path):
    (tmp_path / "a.txt").write_text(CHUNKS)
    expected = [Tagged(("He", "runs"), ("B-NP", "B-VP")), Tagged(("#", "1"), ("B-NP", "I-NP"))]
    assert read(tmp_path / "a.txt", 0, -1) == read(tmp_path / "a.txt", 0, 2) == expected
    (tmp_path / "b.gz").write_bytes(gzip.compress(CHUNKS.replace("\n", "\r\n").encode()))
    assert read(tmp_path / "b.gz", 0, -1) == expected
    assert read(tmp_path / "a.txt", 0, 1)[0].tags == ("PRP", "VBZ")


def test_conllu_has_comments_and_ids_of_several_words(tmp_path):
    (tmp_path / "a.conllu").write_text(CONLLU)
    assert read(tmp_path / "a.conllu", 1, 2) == [
        Tagged(("Do", "n't", "go"), ("AUX", "PART", "VERB")),
        Tagged(("New York",), ("PROPN",)),
    ]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a X\nb\n", (0, 1), r"^path=\S+ line 2 has 1 columns, and the first has 2.$"),
        ("a X\n\nb Y Z\n", (0, 1), r"line 3 has 3 columns, and the first has 2.$"),
        ("a X\n", (0, 2), r"line 1 has 2 columns, from 0, and tag_column is 2.$"),
        ("a X\n", (-3, 1), r"line 1 has 2 columns, from 0, and word_column is -3.$"),
        ("", (0, 1), r"has no sentences: it is empty.$"),
        ("\n \n", (0, 1), r"has no sentences: it is empty.$"),
    ],
)
def test_a_mistake_is_named_by_its_line(text, columns, message, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read(tmp_path / "a.txt", *columns)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="^path=.*none.txt cannot be read: No such file"):
        read(tmp_path / "none.txt", 0, 1)
