"""Streams against the text itself: contiguous, complete, each target once; and refusals."""

import dis
import os
import string
import subprocess
import sys

import numpy as np
import pytest

from nets.data import corpora
from nets.data.text import Text
from nets.data.tokenizers import Characters
from nets.errors import UserError

TFDS = os.environ.get("NETS_TFDS_DIR")
needs_tfds = pytest.mark.skipif(not TFDS, reason="NETS_TFDS_DIR names no folder of TFDS sets")


def decode(vocabulary, ids):
    return Characters(tuple(vocabulary)).decode(ids)


@pytest.fixture
def written(tmp_path):
    """A file of 1,004 random characters, of one to four bytes each, and its text."""
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("abcdefghij\nαβγ→🙂"), 1004))
    path = tmp_path / "some.txt"
    path.write_text(text, encoding="utf-8", newline="")
    return str(path), text


def whole(written, **fields) -> tuple[Text, str]:
    path, text = written
    return Text(path=path, validation=0, test=0, **fields), text


def test_rows_are_contiguous_streams_that_cover_the_text(written):
    data, text = whole(written, batch_size=4, length=7)
    vocabulary = data.metadata()["vocabulary"]
    batches = data.train(0)
    # 1,003 targets: 250 a row, 35 segments of 7
    rows = [
        "".join(decode(vocabulary, batches[i]["inputs"][b]) for i in range(35)) for b in range(4)
    ]
    assert rows == [text[250 * b : 250 * b + 245] for b in range(4)]
    for i in (0, 1, 34, 35, 36):
        batch = batches[i]
        for b in range(4):
            start = 250 * b + 7 * (i % 35)
            assert decode(vocabulary, batch["targets"][b]) == text[start + 1 : start + 8]
        assert batch["reset"].tolist() == [i % 35 == 0] * 4


def test_rows_drawn_at_random_are_from_anywhere_and_follow_the_seed(written):
    data, text = whole(written, batch_size=8, length=7, order="random")
    vocabulary, starts = data.metadata()["vocabulary"], []
    for i in range(200):
        batch = data.train(3)[i]
        assert batch["reset"].all() and batch["inputs"].shape == (8, 7)
        for row, target in zip(batch["inputs"], batch["targets"], strict=True):
            starts.append(text.find(decode(vocabulary, row) + decode(vocabulary, target[-1:])))
            np.testing.assert_array_equal(row[1:], target[:-1])
    assert min(starts) >= 0 and min(starts) < 10 and max(starts) > 1004 - 8 - 10
    assert len(set(starts)) > 700  # of 997
    np.testing.assert_array_equal(data.train(3)[5]["inputs"], data.train(3)[5]["inputs"])
    assert (data.train(3)[5]["inputs"] != data.train(4)[5]["inputs"]).any()


def test_batches_are_as_the_spec_says_and_pure(written):
    data, _ = whole(written, batch_size=3, length=11)
    again, _ = whole(written, batch_size=3, length=11)
    for i in (0, 5, 1000):
        batch = data.train(1)[i]
        assert {k: (v.shape, v.dtype) for k, v in batch.items()} == data.spec().arrays
        for other in (data.train(1)[i], again.train(1)[i]):
            assert all(np.array_equal(batch[k], other[k]) for k in batch)


@pytest.mark.parametrize("streams, length", [(1, 1003), (4, 7), (7, 10), (32, 64), (2000, 3)])
def test_an_evaluation_has_every_target_once_and_in_order(written, streams, length):
    path, text = written
    data = Text(path=path, validation=0.4, test=0.3, eval_batch_size=streams, length=length)
    vocabulary = data.metadata()["vocabulary"]
    for split, part in (("validation", text[301:703]), ("test", text[703:])):
        batches = list(data.evaluate(split))
        rows_inputs = np.concatenate([b["inputs"] for b in batches], 1)
        rows_targets = np.concatenate([b["targets"] for b in batches], 1)
        real = np.concatenate([b["mask"] for b in batches], 1) > 0
        assert all(b["inputs"].shape == (streams, length) for b in batches)
        assert [b["reset"].tolist() for b in batches] == [
            [i == 0] * streams for i in range(len(batches))
        ]
        assert decode(vocabulary, rows_targets[real]) == part[1:]
        assert decode(vocabulary, rows_inputs[real]) == part[:-1]


def test_a_file_is_split_in_order_and_the_vocabulary_is_that_of_all_of_it(written):
    path, text = written
    metadata = Text(path=path, validation=0.1, test=0.2).metadata()
    assert metadata["vocabulary"] == "".join(sorted(set(text)))
    assert metadata["vocab_size"] == len(set(text))
    assert metadata["sizes"] == {"train": 703, "validation": 100, "test": 201}
    assert Text(path=path, validation=0, test=0.2).splits() == ("test",)


def test_a_large_vocabulary(tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 1000))) * 2
    path = tmp_path / "many.txt"
    path.write_text(text, encoding="utf-8")
    data = Text(path=str(path), batch_size=1, length=1999, validation=0, test=0)
    assert data.metadata()["vocab_size"] == 1000
    assert data.train(0)[0]["inputs"][0].tolist() == (list(range(1000)) * 2)[:1999]


def test_the_digest_is_that_of_the_text(tmp_path):
    digests = set()
    for k, text in enumerate(["abcd" * 50, "abcd" * 50, "abdc" * 50, "abce" * 50, "abcd" * 51]):
        path = tmp_path / f"{k}.txt"
        path.write_text(text)
        digests.add(Text(path=str(path)).metadata()["digest"])
    assert len(digests) == 4


def test_a_text_too_short_names_what_fits(written):
    data, _ = whole(written, batch_size=100, length=64)
    message = r"1004 characters.*6401; batch_size=15 or length=10 would fit"
    with pytest.raises(UserError, match=message):
        data.train(0)
    for fields in ({"batch_size": 15, "length": 64}, {"batch_size": 100, "length": 10}):
        whole(written, **fields)[0].train(0)[0]
    for fields in ({"batch_size": 16, "length": 64}, {"batch_size": 100, "length": 11}):
        with pytest.raises(UserError):
            whole(written, **fields)[0].train(0)
    with pytest.raises(UserError, match=r"; length=1 would fit"):
        whole(written, batch_size=1003, length=1004)[0].train(0)
    with pytest.raises(UserError, match="neither alone"):
        whole(written, batch_size=1004, length=1004)[0].train(0)


def test_bad_files_and_values_are_refused(tmp_path):
    bad = tmp_path / "latin.txt"
    bad.write_bytes(b"abc\xe9def")
    with pytest.raises(UserError, match="0xe9 at offset 3"):
        Text(path=str(bad)).metadata()
    with pytest.raises(UserError, match="No such file"):
        Text(path=str(tmp_path / "none.txt")).metadata()
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    for level in ("character", "word", "token"):
        with pytest.raises(UserError, match=f"path=.*empty.txt has 0 {level}s; it must have 2"):
            Text(path=str(empty), level=level).metadata()
    with pytest.raises(UserError, match="0 characters"):
        Text(path=str(empty)).train(0)
    with pytest.raises(UserError, match="0 characters"):
        Text(path=str(empty)).evaluate("test")
    with pytest.raises(UserError, match="0 characters"):
        Text(path=str(empty)).evaluate("train")
    with pytest.raises(UserError, match="no split dev; it has validation, test"):
        Text(path=str(empty)).evaluate("dev")
    for fields in ({"batch_size": 0}, {"length": -1}, {"validation": 0.5, "test": 0.5},
                   {"test": -0.1}, {"validation": float("nan")}, {"name": "java"},
                   {"level": "line"}, {"max_words": 2}):  # fmt: skip
        with pytest.raises(UserError, match=f"{next(iter(fields))}.* must be"):
            Text(**fields)


@pytest.fixture
def folder(tmp_path):
    """Sixty files of ten different characters each, a newline with it, and some to pass over."""
    for k in range(60):
        path = tmp_path / "own" / "abc"[k % 3] / f"{k}{('.py', '.c', '.md')[k % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(chr(0x4E00 + 10 * k + i) for i in range(9)))
    root = tmp_path / "own"
    for name in ("photo.png", ".hidden.py", ".git/x.py", "empty.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"" if name == "empty.py" else b"\xff")
    return root


def test_a_folder_is_one_text(folder):
    texts = corpora.from_path(str(folder), Text().suffixes, 0.1, 0.2)
    parts = "".join(texts.values()).split("\n")
    expected = ["".join(chr(0x4E00 + 10 * k + i) for i in range(9)) for k in range(60)]
    assert sorted(parts) == expected and parts != expected
    assert [len(texts[split]) for split in ("train", "validation", "test")] == [419, 60, 120]
    subfolders = {(ord(part[0]) - 0x4E00) // 10 % 3 for part in texts["test"].split("\n")[1:]}
    assert subfolders == {0, 1, 2}
    data = Text(path=str(folder), suffixes=(".c",))
    assert sum(data.metadata()["sizes"].values()) == 20 * 10 - 1
    moved = folder.rename(folder.parent / "elsewhere")
    assert Text(path=str(moved), suffixes=(".c",)).metadata()["digest"] == data.metadata()["digest"]


def test_a_folders_bad_files_are_named(folder):
    with pytest.raises(UserError, match=r"own has no file whose name ends in .txt, .rst .suffixes"):
        Text(path=str(folder), suffixes=(".txt", ".rst")).metadata()
    (folder / "a" / "latin.py").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="own: a/latin.py is not UTF-8: byte 0xe9 at offset 3"):
        Text(path=str(folder)).metadata()
    (folder / "a" / "latin.py").unlink()
    (folder / "b" / "gone.py").symlink_to(folder / "nowhere")
    with pytest.raises(UserError, match="own: b/gone.py cannot be read: No such file"):
        Text(path=str(folder)).metadata()
    with pytest.raises(UserError, match="0 characters"):
        Text(path=str(folder), suffixes=("empty.py",)).train(0)


def test_the_embedded_text_is_whole_documents_of_prose_and_source():
    data = Text()
    metadata = data.metadata()
    total = sum(metadata["sizes"].values())
    assert 3e6 < total < 7e6
    assert 0.03 < metadata["sizes"]["validation"] / total < 0.07
    assert 0.03 < metadata["sizes"]["test"] / total < 0.07
    assert set(metadata["vocabulary"]) <= {"\n", *map(chr, range(32, 127))}
    texts = corpora.python(0.05, 0.05)
    joined = "\0".join(texts.values())
    for module in (dis, string):
        with open(module.__file__, encoding="utf-8") as file:
            source = file.read()
        assert sum(source in text for text in texts.values()) == 1, module
    assert '"with" statement' in joined and "lambda_expr" in joined  # from the language reference
    ids = data.train(0)[0]["inputs"][0]
    assert decode(metadata["vocabulary"], ids) == texts["train"][:64]


def test_the_embedded_text_is_the_same_in_another_process():
    code = "from nets.data.text import Text; print(Text().metadata()['digest'])"
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert found.stdout.strip() == Text().metadata()["digest"]


def test_hello():
    """Karpathy 2015: from h, e, l, l to e, l, l, o; after an l there comes an l or an o."""
    data = Text(name="hello", batch_size=1, length=4, eval_batch_size=1)
    vocabulary = data.metadata()["vocabulary"]
    assert vocabulary == "ehlo"
    for batch in (data.train(0)[0], data.train(0)[7], *data.evaluate("test")):
        assert decode(vocabulary, batch["inputs"][0]) == "hell"
        assert decode(vocabulary, batch["targets"][0]) == "ello"
        assert batch["reset"].all()


@needs_tfds
def test_tiny_shakespeare():
    data = Text(name="tiny_shakespeare", data_dir=TFDS)
    metadata = data.metadata()
    assert metadata["sizes"] == {"train": 1_003_854, "validation": 111_540}
    assert metadata["vocab_size"] == 65  # Karpathy's char-rnn
    assert data.splits() == ("validation",)
    vocabulary = metadata["vocabulary"]
    assert decode(vocabulary, data.train(0)[0]["inputs"][0]).startswith("First Citizen:\nBefore we")
    batches = list(data.evaluate("validation"))
    assert sum(b["mask"].sum() for b in batches) == 111_539
    # input.txt ends with these words
    last = batches[-1]
    assert decode(vocabulary, last["targets"][-1][last["mask"][-1] > 0]).endswith("waking.\n")


def test_tiny_shakespeare_that_is_not_prepared_is_refused_with_the_command(tmp_path):
    data = Text(name="tiny_shakespeare", data_dir=str(tmp_path))
    with pytest.raises(UserError) as error:
        data.metadata()
    message = str(error.value)
    assert str(tmp_path / "tiny_shakespeare") in message and "\n" not in message
    assert "download_and_prepare(file_format='array_record')" in message
