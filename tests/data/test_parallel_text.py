"""Parallel text: pairs, subwords and what is long or unknown, against the lines of the files."""

import collections
import gzip
import sys

import numpy as np
import pytest

from nets.data import buckets, parallel_text, subwords
from nets.data.parallel_text import Parallel
from nets.errors import UserError

COUNT = "eins zwei drei vier fünf sechs sieben acht neun zehn".split()
WORDS = "one two three four five six seven eight nine ten".split()


def sentence(names, k):
    """As many words as k has figures."""
    return " ".join(names[int(figure)] for figure in str(k))


def decoder(data):
    """The sentences of rows of ids."""
    decode = data.tokenizer(data.metadata()).decode
    return lambda rows: [decode(row) for row in rows]


@pytest.fixture
def files(tmp_path):
    """Writes lists of lines to files, and returns the fields that name them."""

    def write(**sides):
        for field, lines in sides.items():
            data = "".join(f"{line}\n" for line in lines).encode()
            (tmp_path / f"{field}.gz").write_bytes(gzip.compress(data))
        return {field: str(tmp_path / f"{field}.gz") for field in sides}

    return write


@pytest.fixture
def counting(files):
    """60 training pairs, 7 for validation: numbers said figure by figure."""
    numbers = {"": range(70, 130), "validation_": range(20, 27)}
    sides = {}
    for prefix, ks in numbers.items():
        sides[f"{prefix}source"] = [sentence(COUNT, k) for k in ks]
        sides[f"{prefix}target"] = [sentence(WORDS, k) for k in ks]
    parallel_text._corpus.cache_clear()
    return {"vocab_size": 60, "max_length": 20, "batch_size": 8, "eval_batch_size": 5} | files(
        **sides
    )


def test_every_pair_is_met_once_an_epoch(counting):
    data = Parallel(**counting)
    decode, batches = decoder(data), data.train(1)
    expected = collections.Counter((sentence(COUNT, k), sentence(WORDS, k)) for k in range(70, 130))
    found = [batches[i] for i in range(15)]  # two epochs of 60
    met = [
        pair
        for batch in found
        for pair in zip(decode(batch["inputs"]), decode(batch["targets"]), strict=True)
    ]
    assert collections.Counter(met[:60]) == collections.Counter(met[60:]) == expected
    assert met[:60] != met[60:]
    for batch in found:
        assert {k: (v.shape, v.dtype) for k, v in batch.items()} == data.spec().arrays
        for x, length, y, mask in zip(
            *(batch[k] for k in ("inputs", "lengths", "targets", "mask")), strict=True
        ):
            assert (x[:length] > 0).all() and not x[length:].any()
            end = list(y).index(0)
            assert not y[end:].any() and list(mask) == [1] * (end + 1) + [0] * (20 - end)
    np.testing.assert_array_equal(found[3]["inputs"], Parallel(**counting).train(1)[3]["inputs"])
    assert (found[3]["inputs"] != data.train(2)[3]["inputs"]).any()


def test_batches_of_like_length_have_the_least_width_that_holds_them(counting, monkeypatch):
    monkeypatch.setattr(buckets, "SORTED", 6)  # batches of 10: all 60 pairs at a time
    fields = counting | {"batch_size": 10, "max_length": 12}
    plain, data = Parallel(**fields), Parallel(**fields, widths=(4, 6, 9))
    decode = decoder(data)
    for epoch in range(2):
        met, wanted, widths = [], [], []
        for i in range(6 * epoch, 6 * epoch + 6):
            batch, width = data.train(1)[i], data.train(1)[i]["inputs"].shape[1]
            longest = max(batch["lengths"].max(), (batch["targets"] > 0).sum(1).max())
            assert width == min(w for w in (4, 6, 9, 12) if w >= longest)
            assert batch["targets"].shape == batch["mask"].shape == (10, width + 1)
            assert (batch["mask"].sum(1) == (batch["targets"] > 0).sum(1) + 1).all()
            widths.append(width)
            met += zip(decode(batch["inputs"]), decode(batch["targets"]), strict=True)
            other = plain.train(1)[i]
            wanted += zip(decode(other["inputs"]), decode(other["targets"]), strict=True)
        assert sorted(met) == sorted(wanted)  # those of the same steps, in another order
        assert len({*widths}) > 1 and widths != sorted(widths)
    assert data.metadata()["shapes"] == 4 and plain.metadata()["shapes"] == 1
    np.testing.assert_array_equal(batch["inputs"], data.train(1)[11]["inputs"])
    assert {k: (v.shape, v.dtype) for k, v in plain.train(1)[0].items()} == data.spec().arrays


def test_files_are_found_in_their_folder(counting, tmp_path):
    names = {k: v.rpartition("/")[2] for k, v in counting.items() if isinstance(v, str)}
    assert (
        Parallel(**counting | names, folder=str(tmp_path)).metadata()
        == Parallel(**counting).metadata()
    )


def _written(data, split):
    batches = data.evaluate(split)
    found = []
    for i in range(len(batches)):
        found += decoder(data)(batches[i]["targets"][batches[i]["mask"].any(1)])
    return found


def test_an_evaluation_keeps_the_order(counting):
    data = Parallel(**counting)
    assert data.splits() == ("validation",)
    lines = [sentence(WORDS, k) for k in range(20, 27)]
    assert len(data.evaluate("validation")) == 2
    assert _written(data, "validation") == lines
    with pytest.raises(UserError, match="has no split test; it has validation"):
        data.evaluate("test")
    assert _written(data, "train") == [sentence(WORDS, k) for k in range(70, 130)]


def test_the_vocabulary_is_that_of_the_training_text_and_is_kept(counting, files):
    data = Parallel(**counting)
    metadata = data.metadata()
    other = files(test_source=["zwei Öfen"], test_target=["two stoves, two"])
    new = Parallel(**counting, **other).metadata()
    assert new["subwords"] == metadata["subwords"] and new["digest"] != metadata["digest"]
    # "Ö" of the source; "s", "v" and "t" are known, "," is not
    assert new["unknown"] == {"train": 0, "validation": 0, "test": 2}
    assert metadata["vocab_size"] == metadata["num_classes"] == 60 == len(metadata["input_symbols"])
    assert metadata["input_symbols"] == metadata["output_symbols"]
    symbols, kept = metadata["input_symbols"], data.tokenizer(metadata)
    ids = kept.encode("sieben neun")
    assert "".join(symbols[i] for i in ids) == "▁sieben▁neun"
    assert symbols[:2] == ["", "<unk>"]
    assert len(kept.encode("sieben " * 30)) >= 30
    with pytest.raises(UserError, match="'Ö,', which the vocabulary lacks"):
        kept.encode("zwei Öfen, Ö")


def test_other_text_with_the_same_ids_is_other_data(files):
    found = []
    for text in ("ab ab", "cd cd"):
        parallel_text._corpus.cache_clear()
        data = Parallel(**files(source=[text], target=[text]), vocab_size=6, batch_size=1)
        found.append((data.metadata()["digest"], data.train(0)[0]["inputs"].tobytes()))
    (digest, ids), (other, same) = found
    assert ids == same and digest != other


def test_long_sentences_are_left_out_of_training_and_cut_in_an_evaluation(counting):
    limit = 4
    whole, short = Parallel(**counting), Parallel(**counting | {"max_length": limit})
    encode = whole.tokenizer(whole.metadata()).encode
    longest = [
        max(map(len, map(encode, (sentence(COUNT, k), sentence(WORDS, k)))))
        for k in (*range(70, 130), *range(20, 27))
    ]
    long = [sum(n > limit for n in part) for part in (longest[:60], longest[60:])]
    assert 0 < long[0] < 60 and 0 < long[1]
    metadata = short.metadata()
    assert metadata["sizes"] == {"train": 60 - long[0], "validation": 7}
    assert metadata["long"] == {"train": long[0], "validation": long[1]}
    decode, met = decoder(short), set()
    for i in range(20):
        met |= set(decode(short.train(0)[i]["inputs"]))
    kept = [k for k, n in zip(range(70, 130), longest[:60], strict=True) if n <= limit]
    assert met == {sentence(COUNT, k) for k in kept}
    filled = 0
    for i in (0, 1):
        references = decoder(short)(short.evaluate("validation")[i]["references"])
        assert references == decoder(whole)(whole.evaluate("validation")[i]["targets"])
        full, cut = (data.evaluate("validation")[i] for data in (whole, short))
        for name in ("inputs", "targets"):
            np.testing.assert_array_equal(cut[name][:, :limit], full[name][:, :limit])
        assert not cut["targets"][:, limit].any()  # the end has its place
        real = cut["mask"].any(1)
        filled += (cut["inputs"][real] > 0).sum() + (cut["targets"][real] > 0).sum()
    assert metadata["filled"]["validation"] == pytest.approx(filled / (7 * (2 * limit + 1)))


def test_a_batch_above_the_pairs_is_refused(counting):
    with pytest.raises(UserError, match="batch_size must be at most 60, .* pairs .* got 61"):
        Parallel(**counting | {"batch_size": 61}).train(0)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (["a", "b"], ["a"], r"source.gz has 2 lines and target=\S+ has 1; line k"),
        (["a", "", "c"], ["a", "b", "c"], r"source=\S+ has an empty line, 2"),
        (["a", "b"], ["a", "  "], r"target=\S+ has an empty line, 2"),
        ([], ["a"], r"source=\S+ is empty"),
        (
            ["ab ab"],
            ["ba"],
            r"vocab_size must be at most 11 for this training text, got 8000",
        ),
    ],
)
def test_bad_files_are_refused(files, source, target, message):
    with pytest.raises(UserError, match=message):
        Parallel(**files(source=source, target=target)).metadata()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"gr\xfcn\n", "is not UTF-8: byte 0xfc at offset 2"),
        ("a.gz", b"not packed", "is not a complete gzip file"),
        ("a.gz", gzip.compress(b"packed text", mtime=0)[:-9], "is not a complete gzip file"),
        ("a.txt", None, "cannot be read: No such file"),
    ],
    ids=["not-utf8", "not-gzip", "cut-gzip", "missing"],
)
def test_files_that_cannot_be_read_are_refused(tmp_path, name, data, message):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=f"source={path} {message}"):
        Parallel(source=str(path), target=str(path)).metadata()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "a"}, "source needs target, its translation"),
        ({"test_target": "a"}, "test_target needs test_source"),
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
        ({"vocab_size": 2}, "vocab_size must be at least 3, got 2"),
        ({"widths": (9, 7)}, "widths must rise from 1 to below max_length=40, got 9,7"),
        ({"widths": (9, 40)}, "widths must rise from 1 to below max_length=40, got 9,40"),
    ],
)
def test_impossible_values_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        Parallel(**given)


def test_no_text_and_no_library_are_refused(monkeypatch):
    with pytest.raises(UserError, match="give source and target, files of one sentence per line"):
        Parallel().metadata()
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(UserError, match=r"sentencepiece: run `pip install -e '\.\[translate\]'`"):
        subwords.train_bpe(["a"], 10)
