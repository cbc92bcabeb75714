"""Questions about generated scenes: their answers by plain rules, and what words alone betray."""

import collections
import re

import numpy as np
import pytest
from PIL import Image

from nets.data import scenes, shape_grammar, shape_words
from nets.data.shape_grammar import ANSWERS, TYPES
from nets.data.shape_questions import LONGEST, ShapeQuestions
from nets.data.shape_words import ATTRIBUTES, NAMES
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


def first_phrase(text):
    """What describes the first object of a question about two."""
    between = " (?:above|below|left of|right of|larger than|smaller than|the same .+ as) the "
    return re.fullmatch(f"(?:is|has) the (.+?){between}.+", text)[1]


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
    """The objects are read off the pixels, but for their shapes, which are those drawn."""
    metadata = ShapeQuestions(**SMALL).metadata()
    tokenizer = ShapeQuestions(**SMALL).tokenizer(metadata)
    met, asked = collections.Counter(), collections.Counter()
    palette = np.array(list(scenes.COLOURS.values()), float)
    for i, batch in enumerate(batches):
        assert {k: (a.shape, a.dtype) for k, a in batch.items()} == ShapeQuestions(
            **SMALL
        ).spec().arrays
        for b in range(60):
            drawn = shape_grammar.draw(generator(0, 60 * i + b))[1].objects
            image, boxes = batch["inputs"][b], batch["boxes"][b].astype(int)
            objects = []
            for (x0, y0, x1, y1), (_, _, shape) in zip(boxes, drawn, strict=True):
                pixel = image[(y0 + y1) // 2, (x0 + x1) // 2].astype(float)
                colour = (palette @ pixel / np.linalg.norm(palette, axis=1)).argmax()
                kind = int(x1 - x0 > 18), colour, shape
                objects.append({names[k] for names, k in zip(NAMES, kind, strict=True)})
            for q in range(4):
                text = tokenizer.decode(batch["questions"][b, q])
                answer = metadata["class_names"][batch["targets"][b, q]]
                assert answer == plain_answer(text, objects, batch["boxes"][b]), text
                kind = metadata["question_types"][batch["types"][b, q]]
                assert answer in ANSWERS[kind]
                met[kind] += 1
                asked[text] += 1
                described = batch["described"][b, q].tolist()
                if kind in ("colour", "shape", "size"):
                    assert sorted(described) == [0, 1]
                elif kind == "existence":
                    assert any(described) == (answer == "yes") and max(described) <= 1
                elif kind == "count":
                    assert sum(described) == int(answer) and max(described) <= 1
                else:  # the object that is named first is where its words are
                    assert sorted(described) == [1, 2]
                    assert fits(first_phrase(text), objects[described.index(1)])
    assert {*met} == {*TYPES} and min(met.values()) > 60 and len(asked) > 300
    assert any("larger" in text for text in asked) and any("smaller" in text for text in asked)


def words(question):
    return " ".join(shape_words.text(question.words))


def test_words_alone_do_not_answer():
    """Of a scene's further questions: all answers of one are as frequent, by a chi-squared test of
    those asked often; and the answers most frequent in 12,000 are no better than chance in more."""
    counts = collections.defaultdict(collections.Counter)
    right, asked, kinds = collections.Counter(), collections.Counter(), {}
    for k in range(24_000):
        rng = generator(4, k)
        _, first = shape_grammar.draw(rng)
        kind, question = shape_grammar.about(rng, first.objects, first.relation)
        text, answer = words(question), shape_words.text([question.answer])[0]
        kinds[text] = kind
        if k < 12_000:
            counts[text][answer] += 1
        elif text in counts:
            asked[kind] += 1
            right[kind] += answer == counts[text].most_common(1)[0][0]
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


def test_further_questions_are_as_first_ones():
    """Types and relations are as frequent; a question about a scene keeps what is alike in it."""
    types, holds = collections.Counter(), collections.Counter()
    for k in range(7000):
        rng = generator(6, k)
        _, first = shape_grammar.draw(rng)
        kind, question = shape_grammar.about(rng, first.objects, first.relation)
        assert question.objects == first.objects and question.relation == first.relation
        types[kind] += 1
        holds[first.relation] += 1
    assert abs(np.array([*types.values()]) - 1000).max() < 4 * 1000**0.5
    assert abs(np.array([*holds.values()]) - 1750).max() < 4 * 1750**0.5 and len(holds) == 4


@pytest.mark.parametrize("old", range(4))
@pytest.mark.parametrize("new", range(4))
def test_sides_are_exchanged_with_their_opposites(old, new):
    exchange = shape_grammar._turned(old, new)
    assert exchange[old] == new and {*exchange} == {*exchange.values()} == {*range(4)}
    assert all(exchange[k ^ 1] == exchange[k] ^ 1 for k in range(4))


def test_an_example_is_a_function_of_seed_and_index(batches):
    small = ShapeQuestions(**SMALL | {"batch_size": 10}).train(0)[7]
    for name, rows in batches[1].items():
        np.testing.assert_array_equal(rows[10:20], small[name])
    other = ShapeQuestions(**SMALL).train(1)[0]
    assert (other["inputs"] != batches[0]["inputs"]).any((1, 2, 3)).all()


def test_scenes_belong_to_their_splits_and_relations_hold():
    rngs = [generator(5, k) for k in range(40)]
    objects = np.array([shape_grammar.draw(rng)[1].objects for rng in rngs])
    wanted = np.arange(40) % 4
    for split, folds in (("train", range(8)), ("test", (9,))):
        found = scenes.place(rngs, objects, np.full((40, 2), 0.5), split, wanted)
        assert set((found.centres.reshape(-1, 4) @ [1, 3, 7, 9] % 10).tolist()) <= {*folds}
        np.testing.assert_array_equal(scenes.relations(found.centres), wanted)
        reach = found.radii[..., None]
        assert (found.centres >= reach).all() and (found.centres + reach < scenes.SIDE).all()


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
