"""Tokenizers: against splits, counts and ids worked out by hand."""

import collections
import dis
import inspect

import numpy as np
import pytest

from nets.data import corpora
from nets.data.subwords import Subwords, train_bpe
from nets.data.text import Text
from nets.data.tokenizers import (
    PATTERNS,
    Characters,
    Words,
    by_frequency,
    pad,
    target_mask,
)
from nets.errors import UserError


def test_what_a_word_is():
    text = "It's <unk>, naïve\n\n(well-known) x_1  3.5%\t"
    expected = "It's <unk> , naïve <eos> <eos> ( well-known ) x_1 3 . 5 %"
    assert Words((), PATTERNS["word"]).split(text) == expected.split()
    treebank = " mr. <unk> is n't N @-@ old \n the u.s. \n"
    expected = "mr. <unk> is n't N @-@ old <eos> the u.s. <eos>"
    assert Words((), PATTERNS["token"]).split(treebank) == expected.split()


def test_the_most_frequent_words_have_ids():
    found = "b a c b <eos> <unk> d c b <eos>".split()
    special = "<unk>", "<eos>"
    assert by_frequency(found, special, 10) == (*special, "b", "c", "a", "d")
    assert by_frequency(found, ("", "<unk>"), min_count=2) == ("", "<unk>", "b", "<eos>", "c")
    vocabulary = by_frequency(found, special, 5)
    assert vocabulary == (*special, "b", "c", "a")
    ids = Words(vocabulary).encode_lossy(" ".join([*found, "e"]))
    assert ids.tolist() == [2, 4, 3, 2, 1, 0, 0, 3, 2, 1, 0] and ids.dtype == np.int32


def test_characters_come_back_and_unknown_ones_are_refused():
    characters = Characters(tuple("\n aé🙂"))
    ids = characters.encode("a é\n🙂a")
    assert ids == [2, 1, 3, 0, 4, 2] and characters.encode_lossy("a é\n🙂a").tolist() == ids
    assert characters.decode(ids) == "a é\n🙂a" and characters.encode("") == []
    assert characters.encode_lossy("aö").tolist() == [2, -1]
    with pytest.raises(UserError, match=r"'öx', which the vocabulary lacks: valid are '\\n aé🙂'"):
        characters.encode("aöxx")
    with pytest.raises(UserError, match="udc80"):
        characters.encode("\udc80")


def test_text_ends_at_the_end():
    assert Characters(("", "a", "b")).decode(np.array([1, 2, 0, 1])) == "ab"
    assert Characters(("a", "b")).decode([1, 0, 1]) == "bab"  # it has no end
    words = Words(("", "<unk>", "dogs", "run"), r"\w+", lower=True)
    assert words.encode("Dogs, run!") == [2, 3] and words.decode([3, 2, 0, 1]) == "run dogs"


def test_words_have_a_space_between_them_but_at_the_ends_of_lines():
    words = Words(("<unk>", "<eos>", "the", "cat", "sat", "."), PATTERNS["word"])
    assert words.encode("the cat.\nthe  <unk>\n") == [2, 3, 5, 1, 2, 0, 1]
    assert words.decode([2, 3, 5, 1, 2, 0, 1]) == "the cat .\nthe <unk>\n"
    assert words.decode(np.array([1, 1, 4])) == "\n\nsat"
    with pytest.raises(UserError, match="has 'Cat dog', which .* valid are '<unk>.nthe cat sat"):
        words.encode("the Cat dog sat")


def test_the_first_subword_is_the_most_frequent_pair():
    """As in Sennrich et al. 2016, algorithm 1; words begin with the sign of a space."""
    lines = ["low lower lowest lot", "newer wider slow low"]
    pairs = collections.Counter(
        pair
        for line in lines
        for word in line.split()
        for pair in zip("▁" + word, word, strict=False)
    )
    (pair, count), (_, after) = pairs.most_common(2)
    assert pair == ("l", "o") and count == 6 > after
    subwords = train_bpe(lines, 20)
    assert subwords.vocabulary[:3] == ("", "<unk>", "lo") and len(subwords.vocabulary) == 20
    assert subwords == train_bpe(lines, 20) == Subwords(subwords.vocabulary, subwords.model)


def test_subwords_come_back_as_the_sentences_that_they_were():
    lines = ["½ Straße, naïve ①", "A B  C"]
    subwords = train_bpe(lines, 25)
    first, second = map(subwords.encode, lines)
    assert [subwords.decode(ids) for ids in (first, second)] == ["½ Straße, naïve ①", "A B C"]
    assert subwords.decode(np.array([*second, 0, *first])) == "A B C"
    assert subwords.encode_lossy("A Ж B").tolist().count(1) == 1
    with pytest.raises(UserError, match="'A ЖÖ B' has 'ЖÖ'"):
        subwords.encode("A ЖÖ B")


def test_too_few_subwords_are_refused():
    with pytest.raises(UserError, match=r"vocab_size must be at least \d+ for .*, got 4"):
        train_bpe(["a few letters"], 4)


def test_rows_are_filled_up_or_cut_off():
    assert pad([[1, 2, 3], [4], []], 2).tolist() == [[1, 2], [4, 0], [0, 0]]
    np.testing.assert_array_equal(
        target_mask(np.array([[4, 0, 0], [1, 2, 3]])), [[1, 1, 0], [1] * 3]
    )


@pytest.fixture
def path(tmp_path):
    lines = ["the cat sat .", "the dog sat .", "the cat ran !", "a bird flew ?", "the end . ."]
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


@pytest.mark.parametrize("level", ["word", "token"])
def test_a_text_of_words(path, level):
    # 73 characters: 44 to train, which end within "ran !", then 15 and 14
    data = Text(
        path=path, level=level, max_words=6, validation=0.2, test=0.2, batch_size=1, length=4
    )
    metadata = data.metadata()
    assert metadata["vocabulary"] == ["<unk>", "<eos>", "the", ".", "cat", "sat"]
    assert metadata["vocab_size"] == 6 and metadata["words"] == PATTERNS[level]
    batch = data.train(0)[1]
    assert batch["inputs"].tolist() == [[1, 2, 0, 5]] and batch["targets"].tolist() == [
        [2, 0, 5, 3]
    ]
    assert metadata["sizes"]["train"] == data.train(0)[0]["inputs"].size + 10
    assert data.tokenizer(metadata).encode("the cat\n") == [2, 4, 1]
    with pytest.raises(UserError, match=f"{level}s, and batch_size=9"):
        Text(path=path, level=level, batch_size=9).train(0)


def test_the_vocabulary_is_that_of_the_training_text(path):
    metadata = Text(path=path, level="word", validation=0.2, test=0.2).metadata()
    assert "flew" not in metadata["vocabulary"] and "end" not in metadata["vocabulary"]
    digests = {
        Text(path=path, level="word", max_words=n).metadata()["digest"] for n in (10, 11, 10_000)
    }
    assert len(digests) == 3


def test_the_embedded_prose(monkeypatch):
    monkeypatch.setattr(corpora, "modules", lambda: {"dis.py": inspect.getsource(dis)})
    texts = corpora.prose(0.06, 0.05)
    assert sum(inspect.getdoc(dis.dis) in text for text in texts.values()) == 1
    assert sum('"with" statement' in text for text in texts.values()) == 1
    assert not any("def dis(" in text for text in texts.values())
    data = Text(name="prose", level="word", validation=0.06)
    metadata = data.metadata()
    assert metadata["vocabulary"].index("the") < 10
    assert metadata["sizes"] == {
        k: len(data.tokenizer(metadata).split(t)) for k, t in texts.items()
    }
