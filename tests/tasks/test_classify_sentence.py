"""Classification of sentences: what is collected at the end, drawn and predicted."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.report.highlighted_text import HighlightedText
from nets.tasks import classify_sentence_figures
from nets.tasks.classify_sentence import ClassifySentence
from nets.tasks.metrics import add
from nets.tasks.task import Trained

METADATA = {
    "class_names": ["neg", "pos"],
    "vocabulary": ["", "<unk>", "good", "bad", "film", "a", "very", "indeed"],
}
BATCH = {
    "inputs": np.array([[5, 6, 2, 4, 7, 7], [5, 3, 4, 0, 0, 0], [5, 2, 3, 2, 4, 7], [1] * 6]),
    "targets": np.array([1, 0, 0, 1]),
    "mask": np.array([1, 1, 1, 0], np.float32),
}
PARAMS = {"scale": jnp.float32(2)}


class Counts(nn.Module):
    """Good words less bad ones, whose share in the answer is all of it."""

    weighted: bool = True

    @nn.compact
    def __call__(self, inputs, *, train, stages=False):
        good, bad = inputs == 2, inputs == 3
        score = self.param("scale", lambda key: jnp.float32(2)) * (good.sum(1) - bad.sum(1))
        logits = jnp.stack([jnp.zeros_like(score), score], -1)
        weights = {"weights": (good | bad) / jnp.maximum((good | bad).sum(1), 1)[:, None]}
        return (logits, weights if self.weighted else {}) if stages else logits


def evaluated(model, task=ClassifySentence()):  # noqa: B008
    key = jax.random.key(0)
    _, metrics = task.test(model, PARAMS, {}, BATCH, key, final=True)
    totals = add({}, jax.device_get(metrics))
    return task, Trained(model, PARAMS, {}, METADATA, None, None, key), totals


def test_metrics_of_the_rows_that_count():
    task, trained, totals = evaluated(Counts())
    values = task.finish(totals, METADATA, None)
    assert {*values} == {"loss", "accuracy"} and values["accuracy"] == pytest.approx(2 / 3)
    losses = np.log1p(np.exp([-2, -2, 2]))
    assert values["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    rejecting = ClassifySentence(rejection=(0.34,))
    task, _, totals = evaluated(Counts(), rejecting)
    assert task.finish(totals, METADATA, None)["error"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("weighted", [True, False])
def test_figures(weighted, tmp_path):
    task, trained, totals = evaluated(Counts(weighted))
    assert task.figures(trained, [BATCH], totals, final=False) == {}
    figures = task.figures(trained, [BATCH], totals, final=True)
    np.testing.assert_array_equal(figures["confusion"].values, [[1, 1], [0, 1]])
    assert figures["mistakes"].text == "pos (not neg): a good bad good film indeed"
    assert ("words" in figures) == weighted
    if weighted:
        drawn = figures["words"]
        assert "pos: a very good film indeed indeed" in drawn.text
        marked = [c for c, share in zip(drawn.text, drawn.signals[0], strict=True) if share == 1]
        assert "".join(marked) == "good" + "goodbadgood"
        for figure in figures.values():
            figure.write(tmp_path, "x")


def test_prediction():
    model = Counts()
    task, trained, _ = evaluated(model)
    batch = {"inputs": np.array([[5, 2, 4, 0]])}
    outputs = jax.device_get(task.outputs(model, PARAMS, {}, batch))
    source = {"words": np.array(["a", "good", "film"])}
    result = task.prediction(trained, source, outputs)
    share = 1 / (1 + np.exp(-2))
    assert result.summary == f"pos {share:.3f}  neg {1 - share:.3f}"
    assert [row["class"] for row in result.values["top"]] == ["pos", "neg"]
    assert result.values["top"][0]["probability"] == pytest.approx(share, rel=1e-5)
    assert result.values["weights"] == [0, 1, 0]
    assert result.files["words"].text.split() == ["a", "good", "film"]
    outputs = jax.device_get(task.outputs(Counts(weighted=False), PARAMS, {}, batch))
    result = task.prediction(trained, source, outputs)
    assert result.files == {} and "weights" not in result.values


def test_long_sentences_are_wrapped_at_words():
    words = ["word"] * 20 + ["words"] * 20
    figure = classify_sentence_figures._highlighted("t", [("a:", words, np.ones(40))])
    assert isinstance(figure, HighlightedText) and len(figure.text) == figure.signals.shape[1]
    lines = figure.text.splitlines()
    assert len(lines) == 3 and max(map(len, lines)) < 80  # a line end has a cell too
    assert " ".join(figure.text.split()) == "a: " + " ".join(words)
