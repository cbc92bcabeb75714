"""Words: against splits, counts and ids worked out by hand."""

import dis
import inspect

import numpy as np
import pytest

from nets.data import corpora, words
from nets.data.text import Text
from nets.errors import UserError
from nets.tasks.next_token import Symbols


def test_what_a_word_is():
    text = "It's <unk>, naïve\n\n(well-known) x_1  3.5%\t"
    expected = "It's <unk> , naïve <eos> <eos> ( well-known ) x_1 3 . 5 %"
    assert words.split(text, words.PATTERNS["word"]) == expected.split()
    treebank = " mr. <unk> is n't N @-@ old \n the u.s. \n"
    expected = "mr. <unk> is n't N @-@ old <eos> the u.s. <eos>"
    assert words.split(treebank, words.PATTERNS["token"]) == expected.split()


def test_the_most_frequent_words_have_ids():
    found = "b a c b <eos> <unk> d c b <eos>".split()
    assert words.most_frequent(found, 10) == ["<unk>", "<eos>", "b", "c", "a", "d"]
    vocabulary = words.most_frequent(found, 5)
    assert vocabulary == ["<unk>", "<eos>", "b", "c", "a"]
    ids = words.encode(vocabulary, found + ["e"])
    assert ids.tolist() == [2, 4, 3, 2, 1, 0, 0, 3, 2, 1, 0] and ids.dtype == np.int32


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
    assert metadata["vocab_size"] == 6 and metadata["words"] == words.PATTERNS[level]
    batch = data.train(0)[1]
    assert batch["inputs"].tolist() == [[1, 2, 0, 5]] and batch["targets"].tolist() == [
        [2, 0, 5, 3]
    ]
    assert metadata["sizes"]["train"] == data.train(0)[0]["inputs"].size + 10
    assert Symbols(metadata).encode("the cat\n") == [2, 4, 1]
    with pytest.raises(UserError, match=f"{level}s, and --data.batch_size=9"):
        Text(path=path, level=level, batch_size=9).train(0)


def test_the_vocabulary_is_that_of_the_training_text(path):
    metadata = Text(path=path, level="word", validation=0.2, test=0.2).metadata()
    assert "flew" not in metadata["vocabulary"] and "end" not in metadata["vocabulary"]
    digests = {
        Text(path=path, level="word", max_words=n).metadata()["digest"] for n in (10, 11, 10_000)
    }
    assert len(digests) == 3


def test_the_embedded_prose(monkeypatch):
    monkeypatch.setattr(corpora, "_source", lambda: {"dis.py": inspect.getsource(dis)})
    texts = corpora.prose(0.06, 0.05)
    assert sum(inspect.getdoc(dis.dis) in text for text in texts.values()) == 1
    assert sum('"with" statement' in text for text in texts.values()) == 1
    assert not any("def dis(" in text for text in texts.values())
    metadata = Text(name="prose", level="word", validation=0.06).metadata()
    assert metadata["vocabulary"].index("the") < 10
    assert metadata["sizes"] == {
        k: len(words.split(t, metadata["words"])) for k, t in texts.items()
    }
