"""Questions about generated scenes: their answers by plain rules, and what words alone betray."""

import collections
import re

import numpy as np
import pytest
from PIL import Image

from nets.data import scenes, shape_grammar
from nets.data.shape_grammar import ANSWERS, ATTRIBUTES, NAMES, TYPES, VOCABULARY
from nets.data.shape_questions import LONGEST, ShapeQuestions
from nets.data.synthetic import generator
from nets.errors import UserError

SMALL = {"batch_size": 60, "eval_size": 30, "eval_batch_size": 20}


@pytest.fixture(scope="module")
def batches():
    data = ShapeQuestions(**SMALL).train(0)
    return [data[i] for i in range(3)]


def singular(word):
    return {"crosses": "cross"}.get(word, word.removesuffix("s") if word != "cross" else word)


def fits(phrase, has):
    """Whether all that a phrase says is among the words for an object."""
    return {singular(word) for word in phrase.split()} - {"object"} <= has


def plain_answer(text, objects, boxes):
    """The answer to a question by regular expressions, from the words for each object and boxes."""

    def the(phrase):
        (k,) = (k for k, has in enumerate(objects) if fits(phrase, has))
        return k

    def value(k, attribute):
        (word,) = objects[k] & {*NAMES[ATTRIBUTES.index(attribute)]}
        return word

    yes_no = {True: "yes", False: "no"}
    if found := re.fullmatch("is there a (.+)", text):
        return yes_no[any(fits(found[1], has) for has in objects)]
    if found := re.fullmatch("how many (.+) are there", text):
        return str(sum(fits(found[1], has) for has in objects))
    if found := re.fullmatch("what (colour|shape|size) is the (.+)", text):
        return value(the(found[2]), found[1])
    if found := re.fullmatch("is the (.+) (above|below|left of|right of) the (.+)", text):
        one, two = (boxes[the(phrase)] for phrase in (found[1], found[3]))
        right, down = ((one[i] + one[i + 2] - two[i] - two[i + 2]) / 2 for i in (0, 1))
        side = ("right of" if right > 0 else "left of") if abs(right) > abs(down) else (
            "below" if down > 0 else "above"
        )  # fmt: skip
        return yes_no[side == found[2]]
    if found := re.fullmatch("is the (.+) (larger|smaller) than the (.+)", text):
        one, two = (boxes[the(phrase)] for phrase in (found[1], found[3]))
        return yes_no[(one[2] - one[0] > two[2] - two[0]) == (found[2] == "larger")]
    found = re.fullmatch("has the (.+) the same (colour|shape|size) as the (.+)", text)
    one, two = the(found[1]), the(found[3])
    assert one != two
    return yes_no[value(one, found[2]) == value(two, found[2])]


def test_answers_are_true_of_the_scenes(batches):
    metadata = ShapeQuestions(**SMALL).metadata()
    met = collections.Counter()
    for batch in batches:
        spec = {name: (a.shape, a.dtype) for name, a in batch.items()}
        assert spec == ShapeQuestions(**SMALL).spec().arrays
        rng = [generator(0, 0)]
        for b in range(60):
            text = " ".join(VOCABULARY[i] for i in batch["questions"][b] if i)
            rng = generator(0, met.total())
            kind, question = shape_grammar.draw(rng)
            assert " ".join(question.words) == text
            words = [
                {names[i] for names, i in zip(NAMES, one, strict=True)} for one in question.objects
            ]
            answer = metadata["class_names"][batch["targets"][b]]
            assert answer == plain_answer(text, words, batch["boxes"][b]), text
            assert answer in ANSWERS[kind]
            assert kind == metadata["question_types"][batch["types"][b]]
            met[kind] += 1
            image, boxes = batch["inputs"][b], batch["boxes"][b].astype(int)
            for (x0, y0, x1, y1), (size, colour, _) in zip(boxes, question.objects, strict=True):
                pixel = image[(y0 + y1) // 2, (x0 + x1) // 2].astype(float)
                palette = np.array(list(scenes.COLOURS.values()), float)
                likeness = palette @ pixel / np.linalg.norm(palette, axis=1)
                assert likeness.argmax() == colour and (x1 - x0 > 18) == size
    assert {*met} == {*TYPES} and min(met.values()) > 10


def test_descriptions_are_of_the_objects_that_they_mean():
    """Those of a question about one object fit just that, those of two one each."""
    for k in range(600):
        kind, question = shape_grammar.draw(generator(3, k))
        assert (question.objects[0] != question.objects[1]).any()
        assert len(question.words) <= LONGEST and {*question.words} <= {*VOCABULARY}
        if kind in ("colour", "shape", "size"):
            assert question.described == (True, False)
        elif kind == "existence":
            assert any(question.described) == (question.answer == "yes")
        elif kind == "count":
            assert sum(question.described) == int(question.answer)
        else:
            assert question.described == (True, True)


def test_words_alone_do_not_answer():
    """All answers of a question are as frequent, by a chi-squared test of those asked often; and
    the answers that were most frequent in 12,000 questions are no better than chance in others."""
    counts = collections.defaultdict(collections.Counter)
    right, asked, kinds = collections.Counter(), collections.Counter(), {}
    for k in range(24_000):
        kind, question = shape_grammar.draw(generator(4, k))
        text = " ".join(question.words)
        kinds[text] = kind
        if k < 12_000:
            counts[text][question.answer] += 1
        elif text in counts:
            asked[kind] += 1
            right[kind] += question.answer == counts[text].most_common(1)[0][0]
    excess, freedom = 0.0, 0
    for text, found in counts.items():
        valid = ANSWERS[kinds[text]]
        assert {*found} <= {*valid}
        even = found.total() / len(valid)
        if even >= 5:
            excess += sum((found[a] - even) ** 2 / even for a in valid)
            freedom += len(valid) - 1
    assert freedom > 150 and abs(excess - freedom) < 4 * (2 * freedom) ** 0.5
    for kind, n in asked.items():
        chance = 1 / len(ANSWERS[kind])
        assert right[kind] / n < chance + 4 * (chance * (1 - chance) / n) ** 0.5, kind
    alone = np.mean([1 / len(valid) for valid in ANSWERS.values()])
    assert round(alone, 3) == 0.386 and "= 0.386" in ShapeQuestions.__doc__


def test_an_example_is_a_function_of_seed_and_index(batches):
    small = ShapeQuestions(**SMALL | {"batch_size": 10}).train(0)[7]
    for name, rows in batches[1].items():
        np.testing.assert_array_equal(rows[10:20], small[name])
    other = ShapeQuestions(**SMALL).train(1)[0]
    assert (other["inputs"] != batches[0]["inputs"]).any((1, 2, 3)).all()


def test_scenes_belong_to_their_splits_and_relations_hold():
    rngs = [generator(5, k) for k in range(40)]
    objects = np.stack([shape_grammar.draw(rng)[1].objects for rng in rngs])
    wanted = np.arange(40) % 5 - 1
    for split, folds in (("train", range(8)), ("test", (9,))):
        found = scenes.place(rngs, objects, np.full((40, 2), 0.5), split, wanted)
        assert set((found.centres.reshape(-1, 4) @ [1, 3, 7, 9] % 10).tolist()) <= {*folds}
        holds = scenes.relations(found.centres)
        assert (holds == wanted)[wanted >= 0].all()
        assert len({*holds[wanted < 0].tolist()}) > 1


def test_a_question_of_ones_own(tmp_path):
    data = ShapeQuestions(**SMALL)
    path = tmp_path / "a.png"
    Image.fromarray(np.full((32, 64, 3), 99, np.uint8)).save(path)
    metadata = data.metadata()
    batch, source = data.load_question(path, "Is there a RED circle?", metadata)
    assert batch["inputs"].shape == (1, 64, 64, 3) and batch["questions"].shape == (1, LONGEST)
    assert data.tokenizer(metadata).decode(batch["questions"][0]) == "is there a red circle"
    assert (
        source["words"].tolist() == ["is", "there", "a", "red", "circle"]
        and source["unknown"].tolist() == []
    )
    for text, message in [
        (
            "Is there a purple elephant?",
            "has purple, elephant, not among the 42 words of the quest",
        ),
        ("?", "must have from 1 to 16 words, got 0"),
        ("is " * 17, "must have from 1 to 16 words, got 17"),
    ]:
        with pytest.raises(UserError, match=message) as error:
            data.load_question(path, text, metadata)
        assert error.value.field == "prompt" and "\n" not in str(error.value)
