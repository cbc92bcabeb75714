"""Answers: losses and metrics worked by hand, the agreement of people, and what is shown."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.tokenizers import Words
from nets.errors import UserError
from nets.report.captioned_rows import CaptionedRows
from nets.tasks.answer import AnswerQuestion
from nets.tasks.answer_metrics import agreement
from nets.tasks.metrics import add
from nets.tasks.task import Trained

METADATA = {
    "class_names": ["yes", "no", "red"],
    "question_types": ["existence", "count", "colour"],
    "vocabulary": ["", "is", "it", "what", "colour"],
}
SCORES = np.log(np.array([[1, 2, 5], [5, 2, 1], [1, 6, 1], [2, 4, 2]]) / 8)
BATCH = {
    "inputs": np.zeros((4, 8, 8, 3), np.uint8),
    "questions": np.array([[3, 4, 0], [1, 2, 0], [1, 2, 2], [1, 0, 0]], np.int32),
    "targets": np.array([2, 1, -1, 1], np.int32),
    "types": np.array([2, 0, 0, 0], np.int32),
    "mask": np.array([1, 1, 1, 0], np.float32),
}
BOXES = {  # in images of 8 x 8 pixels, of which a cell has 4 x 4
    "boxes": np.array([[[0, 0, 4, 4], [4, 4, 8, 6]]] * 4, np.float32),
    "described": np.array([[1, 0], [1, 2], [1, 1], [1, 1]], np.int32),
}


class Given(nn.Module):
    """Answers as SCORES says and attends, in two looks, to cells as it does."""

    looks: bool = True

    @nn.compact
    def __call__(self, images, questions, *, train, stages=False):
        scale = self.param("scale", nn.initializers.ones, ())
        self.variable("batch_stats", "seen", jnp.zeros, ())
        weights = jnp.array([[0.75, 0.25, 0, 0], [0, 0, 0.5, 0.5]])
        weights = jnp.broadcast_to(weights, (len(images), 2, 4))
        logits = scale * jnp.asarray(SCORES, jnp.float32)[: len(images)]
        outputs = {"weights": weights} if self.looks else {}
        return (logits, outputs) if stages else logits


class Paired(Given):
    """The same, of two questions about each image; asked one, it answers the first."""

    @nn.compact
    def __call__(self, images, questions, *, train, stages=False):
        rows = np.zeros((4, 1))
        logits, outputs = super().__call__(rows, questions, train=train, stages=True)
        y, weights = (
            a.reshape(2, 2, *a.shape[1:])[: len(images)] for a in (logits, outputs["weights"])
        )
        if questions.ndim == 2:
            y, weights = y[:, 0], weights[:, 0]
        return (y, {"weights": weights}) if stages else y


def evaluated(batch, model=Given(), final=True):  # noqa: B008
    task, key = AnswerQuestion(), jax.random.key(0)
    params, state = task.init(model, key, batch)
    _, metrics = task.test(model, params, state, batch, key, final)
    totals = add({}, jax.device_get(metrics))
    words = Words(tuple(METADATA["vocabulary"]))
    trained = Trained(model, params, state, METADATA, words, None, key)
    return task, trained, totals


def test_metrics_by_hand():
    """Of three rows that count the first is right, the second wrong, the third has no answer."""
    task, trained, totals = evaluated(BATCH)
    values = task.finish(totals, METADATA, None)
    assert {*values} == {"loss", "accuracy", "accuracy_existence", "accuracy_colour"}
    assert values["loss"] == pytest.approx(-(np.log(5 / 8) + np.log(2 / 8)) / 2, rel=1e-5)
    assert values["accuracy"] == pytest.approx(1 / 3)
    assert values["accuracy_existence"] == 0 and values["accuracy_colour"] == 1
    loss, (state, metrics) = task.loss(
        trained.model, trained.params, trained.model_state, BATCH, trained.key, True
    )
    assert float(loss) == pytest.approx(values["loss"], rel=1e-6) and {*state} == {"batch_stats"}
    assert {*metrics} == {"loss", "accuracy"}


def test_attention_inside_the_boxes_described():
    """Only the first row is right: its first object covers the first of four cells."""
    task, _, totals = evaluated(BATCH | BOXES)
    values = task.finish(totals, METADATA, None)
    assert values["in_box_1"] == pytest.approx(0.75) and values["in_box_2"] == 0
    assert values["box_share"] == pytest.approx(1 / 4)
    batch = BATCH | BOXES | {"targets": np.array([2, 0, 1, 1], np.int32)}
    task, _, totals = evaluated(batch)
    values = task.finish(totals, METADATA, None)  # in two rows half of the last cell, too
    assert values["in_box_1"] == pytest.approx(0.75) and values["in_box_2"] == pytest.approx(1 / 6)
    assert values["box_share"] == pytest.approx((0.25 + 2 * 0.375) / 3)


def test_looks_are_told_where_to_be():
    """By hand: -log of 3/4, of nothing; of 3/4 and of half of a half; of nothing twice."""
    described = {"described": np.array([[1, 0], [1, 2], [2, 1], [0, 0]], np.int32)}
    batch = BATCH | BOXES | described | {"mask": np.ones(4, np.float32)}
    expected = np.log([4 / 3, 1e6, 4 / 3, 4, 1e6, 1e6]).mean()
    plain, task = AnswerQuestion(), AnswerQuestion(pointing=0.5)
    trained = evaluated(batch)[1]
    given = (trained.model, trained.params, trained.model_state, batch, trained.key, True)
    (before, _), (loss, (_, metrics)) = plain.loss(*given), task.loss(*given)
    total, count = metrics["pointing"]
    assert count == 6 and float(total / count) == pytest.approx(expected, rel=1e-5)
    assert float(loss - before) == pytest.approx(expected / 2, rel=1e-5)
    for model, rows in ((Given(looks=False), batch), (Given(), BATCH)):
        with pytest.raises(UserError, match="must be 0 without boxes or .* got 0.5") as error:
            task.loss(model, *given[1:3], rows, *given[4:])
        assert error.value.field == "pointing"
    with pytest.raises(UserError, match="must be at least 0, got -1"):
        AnswerQuestion(pointing=-1.0)


def test_several_questions_of_an_image():
    """The four rows as two questions about each of two images, the second of which fills up."""
    several = {k: a.reshape(2, 2, *a.shape[1:]) for k, a in (BATCH | BOXES).items()}
    several |= {name: several[name][:, 0] for name in ("inputs", "boxes")}
    several["mask"] = np.array([1, 0], np.float32)
    task, trained, totals = evaluated(several, Paired())
    _, _, alone = evaluated(BATCH | BOXES | {"mask": np.array([1, 1, 0, 0], np.float32)})
    values = task.finish(totals, METADATA, None)
    assert values == pytest.approx(task.finish(alone, METADATA, None), rel=1e-6)
    figures = task.figures(trained, [several], totals, final=True)
    assert figures["attention"].captions == ("what colour?\nred",)


def test_people_agree():
    """Against the published evaluation: a mean over all nine of ten people."""
    rng = np.random.default_rng(0)
    people = rng.integers(-1, 3, (40, 10))
    answers = rng.integers(0, 3, 40)
    whole, nine = agreement(jnp.array(answers), jnp.array(people))
    for answer, given, one, other in zip(answers, people.tolist(), whole, nine, strict=True):
        sets = list(itertools.combinations(given, 9))
        plain = np.mean([min(each.count(answer) / 3, 1) for each in sets])
        assert float(other) == pytest.approx(plain, abs=1e-6)
        assert float(one) == pytest.approx(min(given.count(answer) / 3, 1), abs=1e-6)
    batch = BATCH | {"answers": np.array([[2, 2] + [-1] * 8, [1] * 10, [-1] * 10, [1] * 10])}
    task, _, totals = evaluated(batch)
    values = task.finish(totals, METADATA, None)
    assert values["vqa_accuracy"] == pytest.approx(2 / 3 / 3, rel=1e-5)
    assert values["vqa_accuracy_nine"] == pytest.approx(0.6 / 3, rel=1e-5)


@pytest.mark.parametrize("looks", [True, False])
def test_figures(looks, tmp_path):
    task, trained, totals = evaluated(BATCH, Given(looks))
    assert task.figures(trained, [BATCH], totals, final=False) == {}
    figures = task.figures(trained, [BATCH], totals, final=True)
    assert {*figures} == {"types", "mistakes", "attention" if looks else "examples"}
    assert figures["types"].names == ("existence", "colour")
    assert figures["mistakes"].text.split("\n") == [
        "is it? yes (wrong; correct: no)", "is it it? no (wrong; correct: an unknown answer)",
    ]  # fmt: skip
    drawn = figures["attention" if looks else "examples"]
    assert drawn.captions[-1] == "what colour?\nred" and len(drawn.captions) == 3
    assert drawn.images.shape[:2] == (3, 3 if looks else 1)
    for figure in figures.values():
        figure.write(tmp_path, "x")


def test_lit_where_it_attends():
    task, trained, totals = evaluated(BATCH | {"inputs": np.full((4, 8, 8, 3), 255, np.uint8)})
    batch = BATCH | {"inputs": np.full((4, 8, 8, 3), 255, np.uint8)}
    images = task.figures(trained, [batch], totals, final=True)["attention"].images[0]
    side = images.shape[1]
    first, second = (
        images[1][:: side // 2, :: side // 2, 0],
        images[2][:: side // 2, :: side // 2, 0],
    )
    np.testing.assert_allclose(first[:2, :2], [[1, 0.35 + 0.65 / 3], [0.35, 0.35]], rtol=1e-5)
    np.testing.assert_allclose(second[:2, :2], [[0.35, 0.35], [1, 1]], rtol=1e-5)


@pytest.mark.parametrize("unknown", [[], ["purple"]])
def test_prediction(unknown, tmp_path):
    task, trained, _ = evaluated(BATCH)
    batch = {k: BATCH[k][:1] for k in ("inputs", "questions")}
    outputs = task.outputs(trained.model, trained.params, trained.model_state, batch)
    source = {
        "image": np.zeros((20, 30, 3), np.uint8), "matrix": np.diag([0.4, 0.4, 1.0]),
        "size": np.array([8, 8]), "words": np.array(["what", "colour"]),
        "unknown": np.array(unknown, str),
    }  # fmt: skip
    result = task.prediction(trained, source, jax.device_get(outputs))
    assert result.summary.startswith("red 0.625  no 0.250  yes 0.125")
    assert result.values["question"] == "what colour?" and result.values["answer"] == "red"
    assert ("unknown words: purple" in result.summary) == bool(unknown)
    assert result.values.get("unknown", []) == unknown
    assert isinstance(result.files["attention"], CaptionedRows)
    for figure in (result.figure, *result.files.values()):
        figure.write(tmp_path, "x")


def test_mistakes():
    with pytest.raises(UserError, match="std must be above 0"):
        AnswerQuestion(std=(1.0, 0.0, 1.0))
    with pytest.raises(UserError, match="one number for each of the 3 colours"):
        AnswerQuestion(mean=(0.0,), std=(1.0,)).init(Given(), jax.random.key(0), BATCH)
