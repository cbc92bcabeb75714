"""Transcription: the loss against all paths, error rates by hand, what is written and when."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.errors import UserError
from nets.lstm import LSTM
from nets.tasks import transcribe_figures
from nets.tasks.metrics import Rows, edit_distance
from nets.tasks.transcribe import Transcribe, ctc_loss, scores, times
from nets.transcriber import Transcriber


def test_the_loss_is_the_sum_over_all_paths():
    rng = np.random.default_rng(0)
    logits, steps = rng.normal(size=(3, 5, 3)).astype(np.float32), np.array([5, 4, 5])
    targets = np.array([[1, 2, 0], [2, 0, 0], [1, 1, 0]])
    found = ctc_loss(jnp.asarray(logits), jnp.asarray(steps), jnp.asarray(targets))
    for b in range(3):
        log_probs = np.asarray(jax.nn.log_softmax(logits[b]))
        total = 0.0
        for path in itertools.product(range(3), repeat=int(steps[b])):
            merged = [symbol for symbol, _ in itertools.groupby(path) if symbol]
            if merged == targets[b][targets[b] > 0].tolist():
                total += np.exp(sum(log_probs[t, symbol] for t, symbol in enumerate(path)))
        np.testing.assert_allclose(found[b], -np.log(total), rtol=1e-4)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_edits_are_counted(one, other, distance):
    assert edit_distance([*map(ord, one)], [*map(ord, other)]) == distance


def rows(**columns):
    return Rows({name: [np.array(row) for row in column] for name, column in columns.items()}, None)


def test_error_rates_are_edits_over_targets():
    """Two of seven digits: one substituted, one left out; one of three strings is right."""
    values = scores(
        rows(
            target=[[1, 2, 0], [3, 4, 5], [6, 7, 0]],
            decoded=[[1, 2, 0, 0], [3, 9, 5, 0], [7, 0, 0, 0]],
            beam=[[1, 2], [3, 4], [6, 7]],
            ends=[[800, 1600, 0], [1, 2, 3], [4, 5, 0]],
            needed=[[1000, 2200, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        ),
        8000,
    )
    assert values["error_rate"] == 2 / 7 and values["error_rate_beam"] == 1 / 7
    assert values["exact_match"] == 1 / 3
    assert values["delay_ms"] == (200 + 600) / 2 / 8


def test_nothing_right_has_no_delay():
    values = scores(rows(target=[[1]], decoded=[[2]], ends=[[5]], needed=[[9]]), 8000)
    assert "delay_ms" not in values and values["exact_match"] == 0


def test_a_beam_of_none_is_refused():
    with pytest.raises(UserError, match="beam must be at least 1, got 0"):
        Transcribe(beam=0)


def test_an_evaluation_collects_what_is_decoded():
    model = Transcriber(num_classes=4, cell=LSTM(4), window=64, hop=32, bands=6)
    rng = np.random.default_rng(0)
    batch = {
        "inputs": rng.normal(size=(2, 900)).astype(np.float32),
        "lengths": np.array([900, 600], np.int32),
        "targets": np.array([[1, 2], [3, 0]], np.int32),
        "ends": np.array([[300, 800], [500, 0]], np.int32),
        "mask": np.ones(2, np.float32),
    }
    task = Transcribe(beam=3)
    params, state = task.init(model, jax.random.key(0), batch)
    _, metrics = task.test(model, params, state, batch, jax.random.key(0), final=True)
    collected = metrics["sounds"].values
    assert set(collected) == {"target", "decoded", "beam", "needed", "ends"}
    assert collected["beam"].shape == (2, 4) and (collected["needed"] <= 900).all()
    logits, steps = task.outputs(model, params, state, batch)
    middle = times(model, steps)
    assert len(middle) == steps[0] and abs(middle[0] - (64 + 3 * 32) / 2 / 8000) < 1e-9
    assert abs(middle[1] - middle[0] - 4 * 32 / 8000) < 1e-9


def test_what_is_read_is_written_with_its_time():
    logits = np.log(np.full((1, 4, 3), 0.05) + 0.85 * np.eye(3)[[0, 2, 2, 1]][None])
    written = (np.array([2, 1, 0, 0]), np.array([0.1, 0.3, 0.0, 0.0]))
    beam = (np.array([[2, 1], [2, 0]]), np.log([0.7, 0.1]))
    prediction = transcribe_figures.prediction(np.zeros(4000), 8000, ("no", "yes"), written, beam)
    assert prediction.summary == "yes no"
    assert prediction.values["words"] == [
        {"word": "yes", "seconds": 0.1}, {"word": "no", "seconds": 0.3}
    ]  # fmt: skip
    assert prediction.values["beam"][0]["text"] == "yes no"
    assert prediction.figure.marks == ((0.1, "yes"), (0.3, "no"))
    figure = transcribe_figures.over_time(
        np.zeros(4000), 8000, logits[0], ("no", "yes"), np.arange(4) / 10
    )["over_time"]
    curves = figure.curves
    assert list(curves) == ["no", "yes", "blank"] and curves["yes"].argmax() == 1


def test_mistakes_are_listed_first():
    said = rows(target=[[1, 2], [2, 0]], decoded=[[1, 2, 0], [1, 0, 0]])
    text = transcribe_figures.examples(said, ("a", "b"))["transcriptions"]
    assert text.title == "1 of 2 sounds with a mistake"
    assert text.text.splitlines()[1:] == ["b     a   <- wrong", "ab    ab"]
