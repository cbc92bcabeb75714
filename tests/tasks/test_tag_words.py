"""Tagging of words: metrics without padding, chunks by hand, and what is drawn and predicted."""

import dataclasses
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.errors import UserError
from nets.tasks import tag_words
from nets.tasks.metrics import add
from nets.tasks.tag_words import TagWords, chunk_scores
from nets.tasks.task import Trained

TAGS = ["B-NP", "B-VP", "I-NP", "O"]
METADATA = {"tags": TAGS, "vocabulary": ["", "<unk>", "he", "runs", "a", "mile"]}


class Copies(nn.Module):
    """Tags each word with its id less two: 2 B-NP, 3 B-VP, 4 I-NP, 5 O."""

    @nn.compact
    def __call__(self, inputs, characters, *, train):
        scale = self.param("scale", lambda key: jnp.float32(3))
        return scale * jax.nn.one_hot(inputs - 2, 4)


BATCH = {
    "inputs": np.array([[2, 3, 2, 4, 0], [2, 5, 0, 0, 0], [2, 2, 2, 2, 2]]),
    "characters": np.ones((3, 5, 2), int),
    "targets": np.array([[0, 1, 0, 2, 0], [0, 2, 0, 0, 0], [1, 1, 1, 1, 1]]),
    "mask": np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32),
}
PARAMS = {"scale": jnp.float32(3)}


def test_padding_is_in_no_metric():
    task, key = TagWords(chunks=True), jax.random.key(0)
    state, metrics = task.test(Copies(), PARAMS, {}, BATCH, key, final=True)
    values = task.finish(add({}, jax.device_get(metrics)), METADATA, None)
    assert values["accuracy"] == pytest.approx(5 / 6) and values["exact_match"] == 0.5
    loss = np.log(np.exp(3) + 3) - np.array([3, 3, 3, 3, 3, 0])
    assert values["loss"] == pytest.approx(loss.mean(), rel=1e-5)
    # chunks: (he)(runs)(he a) and (he)(not O); of the targets (he)(runs)(he a) and (he mile)
    assert values["precision"] == pytest.approx(3 / 4) and values["recall"] == pytest.approx(3 / 4)
    assert values["f1"] == pytest.approx(3 / 4)
    assert "f1" not in TagWords().finish(add({}, jax.device_get(metrics)), METADATA, None)
    _, early = task.test(Copies(), PARAMS, {}, BATCH, key, final=False)
    assert {*early} == {"loss", "accuracy", "exact_match"}


@pytest.mark.parametrize(
    ("target", "prediction", "precision", "recall"),
    [
        ("B-NP I-NP O B-VP", "B-NP I-NP O B-VP", 1, 1),
        ("B-NP I-NP O B-VP", "B-NP O O B-VP", 1 / 2, 1 / 2),
        ("B-NP I-NP", "B-NP B-NP", 0, 0),
        ("B-NP I-NP B-NP", "B-NP I-NP I-NP", 0, 0),
        ("O I-NP I-NP", "O B-NP I-NP", 1, 1),  # conlleval: an I after O begins a chunk
        ("B-NP I-VP", "B-NP B-VP", 1, 1),  # and an I of another type
        ("B-NP O B-NP", "B-NP O O", 1, 1 / 2),
        ("O O", "O O", 0, 0),
    ],
)
def test_chunks_are_those_of_conlleval(target, prediction, precision, recall):
    scores = chunk_scores([target.split()], [prediction.split()])
    assert (scores["precision"], scores["recall"]) == (precision, recall)
    both = precision + recall
    assert scores["f1"] == pytest.approx(2 * precision * recall / both if both else 0)


def test_a_chunk_ends_with_its_sentence():
    scores = chunk_scores([["B-NP"], ["I-NP"]], [["B-NP"], ["B-NP"]])
    assert scores["precision"] == scores["recall"] == 1


def test_seqeval_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "seqeval.metrics.sequence_labeling", None)
    with pytest.raises(
        UserError, match=r"chunks needs seqeval: run `pip install -e '.\[tagging\]'"
    ):
        tag_words.chunk_scores([["O"]], [["O"]])


def test_figures_and_prediction():
    task, key = TagWords(), jax.random.key(0)
    batch = BATCH | {"mask": np.ones((3, 5), np.float32)}
    _, metrics = task.test(Copies(), PARAMS, {}, batch, key, final=True)
    rows = add({}, jax.device_get(metrics))
    trained = Trained(Copies(), PARAMS, {}, METADATA, None, None, key)
    assert task.figures(trained, [batch], rows, final=False) == {}
    figures = task.figures(trained, [batch], rows, final=True)
    confusion = figures["confusion"]
    assert confusion.rows == ("B-NP", "B-VP", "I-NP") and confusion.values.sum() > 0
    right = np.trace(confusion.values)
    assert right == (np.maximum(batch["inputs"] - 2, 0) == batch["targets"]).sum()
    assert "he/B-NP(not B-VP)" in figures["mistakes"].text
    outputs = jax.device_get(task.outputs(Copies(), PARAMS, {}, batch))
    prediction = task.prediction(trained, {"words": np.array(["He", "runs"])}, outputs)
    assert prediction.summary == "He/B-NP runs/B-VP"
    share = np.exp(3) / (np.exp(3) + 3)
    assert [dataclasses.asdict(prediction.figure)["rows"]] == [("He", "runs")]
    for row, tag in zip(prediction.values["words"], ("B-NP", "B-VP"), strict=True):
        assert row["tag"] == tag and row["probability"] == pytest.approx(share, rel=1e-5)
