"""Questions about stories: what batches hold against the lines of the files, and mistakes."""

from pathlib import Path

import numpy as np
import pytest

from nets.data import stories
from nets.data.babi import Babi
from nets.data.babi_files import parse
from nets.errors import UserError

LINES = """1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 Mary got the Milk there.
5 What has Mary?\tapple,Milk\t4 1
1 Eve is tall.
2 Is Eve tall?\tyes\t1""".splitlines()


@pytest.fixture
def folder(tmp_path):
    for task in (1, 4):
        (tmp_path / f"qa{task}_x_train.txt").write_text("\n".join(LINES * 10))
        (tmp_path / f"qa{task}_x_test.txt").write_text("\n".join(LINES[:5] * 3))
    return str(tmp_path)


def fields(path, **others):
    return {"path": path, "widths": (2,), "max_memories": 3, "batch_size": 8} | others


def test_questions_have_the_sentences_before_them():
    first, second, third = parse(LINES, "x", 4)
    assert [q.story for q in (first, second, third)] == [0, 0, 1]
    assert first.sentences == (
        ("mary", "moved", "to", "the", "bathroom"), ("john", "went", "to", "the", "hallway"),
    )  # fmt: skip
    assert first.words == ("where", "is", "mary") and first.answer == "bathroom"
    assert first.support == (0,) and second.support == (2, 0)
    assert second.sentences[2] == ("mary", "got", "the", "milk", "there")
    assert second.answer == "apple,milk" and third.sentences == (("eve", "is", "tall"),)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Mary moved."], "x, line 1, must begin with a number, got 'Mary moved.'"),
        (["1 Where?\thall\t3"], "line 1, must have an answer and numbers of sentences before it"),
        (["1 Where?\t\t"], "line 1, must have an answer"),
        (["1 Mary moved.", "2 ..."], "line 2, must have words, got '2 ...'"),
        (["1 Mary moved.", "2 ?\tyes\t1"], "line 2, must have words"),
    ],
)
def test_other_lines_are_refused(lines, message):
    with pytest.raises(UserError, match=message):
        parse(lines, "x", 1)


def test_batches_hold_the_words_of_the_files(folder):
    data = Babi(**fields(folder))
    metadata = data.metadata()
    words = metadata["vocabulary"]
    assert metadata["tasks"] == [1, 4] and metadata["sizes"] == {
        "train": 56, "validation": 4, "test": 12
    }  # fmt: skip
    seen = []
    for batch in data.evaluate("test"):
        for row in np.flatnonzero(batch["mask"]):
            story = [" ".join(words[k] for k in s if k) for s in batch["inputs"][row] if s.any()]
            question = " ".join(words[k] for k in batch["question"][row] if k)
            support = batch["support"][row].tolist()
            seen.append((story, question, words[batch["targets"][row]], support))
    long = ["mary moved to the bathroom", "john went to the hallway", "mary got the milk there"]
    assert seen.count((long[:2], "where is mary", "bathroom", [0, -1, -1])) == 6
    assert seen.count((long, "what has mary", "apple,milk", [2, 0, -1])) == 6
    for name, (shape, dtype) in data.spec().arrays.items():
        array = data.train(0)[0][name]
        assert array.dtype == dtype and array.shape[0] == 8 and array.ndim == len(shape)
    batches = data.train(0)
    assert all((a == b).all() for a, b in zip(batches[3].values(), data.train(0)[3].values(),
                                              strict=True))  # fmt: skip
    assert {batches[i]["inputs"].shape[1] for i in range(20)} == {2, 3}


def test_batches_are_as_large_as_the_longest_story_and_sentence(folder):
    data = Babi(**fields(folder, max_memories=50, widths=(2, 20)))
    metadata = data.metadata()
    assert (metadata["max_memories"], metadata["max_words"], metadata["shapes"]) == (3, 5, 2)
    assert {data.train(0)[i]["inputs"].shape[1:] for i in range(20)} == {(2, 5), (3, 5)}
    assert data.spec().arrays["inputs"][0] == (8, 3, 5)
    missing = Babi(path="nothing", max_memories=30).spec()
    assert missing.arrays["inputs"][0] == (32, 30, 11) and missing.metadata["max_memories"] == 30


def test_one_task_alone_and_the_last_sentences_of_a_long_story(folder):
    data = Babi(**fields(folder, task=4, max_memories=2, widths=(1,)))
    assert data.metadata()["tasks"] == [4] and data.metadata()["long"]["test"] == 3
    (batch,) = data.evaluate("test")
    words = data.metadata()["vocabulary"]
    (rows,) = np.nonzero(batch["support"][:, 0] == 1)
    first = [" ".join(words[k] for k in s) for s in batch["inputs"][rows[0], :, :2]]
    assert first == ["john went", "mary got"] and batch["support"][rows[0], 1] == -1


def test_generated_stories_answer_themselves():
    """Where a person or thing is, told again from the sentences alone."""
    for task in stories.TASKS:
        questions = stories.generate(task, 40, np.random.default_rng(0))
        assert len(questions) == 200
        for q in questions:
            at, holder, lies = {}, {}, {}
            for who, *verb, last in q.sentences:
                if last == "there":
                    thing = verb[-1]
                    took = verb[0] in ("took", "picked", "grabbed")
                    assert (thing in holder) is not took
                    if took:
                        assert lies.get(thing, at[who]) == at[who]
                        holder[thing] = who
                    else:
                        assert holder.pop(thing) == who
                        lies[thing] = at[who]
                else:
                    assert at.get(who) != last
                    at[who] = last
            subject = q.words[1] if task == 3 else q.words[-1]
            where = at[holder[subject]] if subject in holder else at.get(subject, lies.get(subject))
            if task == 3:
                assert q.answer == ("yes" if q.words[-1] == where else "no")
            else:
                assert q.answer == where
            assert where in {w for k in q.support for w in q.sentences[k]}
            assert any(subject in q.sentences[k] for k in q.support)
    answers = [q.answer for q in stories.generate(3, 100, np.random.default_rng(1))]
    assert np.mean([a == "yes" for a in answers]) == pytest.approx(0.5, abs=0.08)


def test_a_prompt_is_read_as_a_story_and_its_question(folder):
    data = Babi(**fields(folder))
    metadata = data.metadata()
    read = data.read_prompt("Eve is tall. Mary moved to the hallway. Where is Eve?", metadata)
    words = metadata["vocabulary"]
    assert read.source["words"].tolist() == [
        "eve is tall", "mary moved to the hallway", "where is eve"
    ]  # fmt: skip
    assert read.batch["inputs"].shape == (1, 2, 5) and read.batch["question"].shape == (1, 5)
    assert [words[k] for k in read.batch["question"][0, :3]] == ["where", "is", "eve"]
    exclaimed = data.read_prompt("Eve is tall! ... Where is Eve?", metadata)
    assert exclaimed.source["words"].tolist() == ["eve is tall", "where is eve"]
    for text, message in [
        ("Mary moved to the hallway. Eve is tall.", "one question, the last, with a question mark"),
        ("Where is Eve? Eve is tall.", "one question, the last, with a question mark"),
        ("Is Eve tall? Where is Eve?", "one question, the last, with a question mark"),
        ("Eve is tall. Where is Eve. - ?", "one question, the last, with a question mark"),
        ("", "one question, the last, with a question mark, got ''"),
        ("Bob is tall. Is Zoe tall?", "has words that the training text has not: bob, zoe"),
        ("Where is Eve?", "from 1 to 3 sentences before its question, as .* training have, got 0"),
        ("Eve is tall. " * 4 + "Is Eve tall?", "from 1 to 3 sentences .* got 4"),
        ("Eve is tall. " + "is " * 6 + "?", "at most 5 words in a sentence, as .*, got 6"),
    ]:
        with pytest.raises(UserError, match=message):
            data.read_prompt(text, metadata)


def test_mistakes_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match="task must be at least 1 and at most 3, got 4"):
        Babi(task=4)
    with pytest.raises(UserError, match=r"must have one file qa2_\*_train.txt, it has 0"):
        Babi(**fields(folder, task=2)).metadata()
    known = next(Path(folder).glob("qa4_*_test.txt")).read_text()
    for split, missing in (("test", "train"), ("train", "test")):  # one of the two, and no task
        other = Path(folder) / f"qa2_x_{split}.txt"
        other.write_text(known)
        with pytest.raises(UserError, match=rf"must have one file qa2_\*_{missing}.txt, it has 0"):
            Babi(**fields(folder)).metadata()
        other.unlink()
    with pytest.raises(UserError, match=r"has no questions qaN_\*_train.txt"):
        Babi(**fields(str(tmp_path / "nothing"))).metadata()
    with pytest.raises(UserError, match="widths must rise from 1 to below max_memories=3"):
        Babi(**fields(folder, widths=(3,)))
