"""Classification of sounds: the loss by hand, mistakes that can be heard, one sound's classes."""

import jax
import numpy as np

from nets.cldnn import CLDNN
from nets.tasks import classify_sound_figures
from nets.tasks.classify_sound import ClassifySound
from nets.tasks.metrics import Rows, compute


def test_the_loss_is_the_cross_entropy_of_rows_that_count():
    rng = np.random.default_rng(0)
    batch = {
        "inputs": rng.normal(size=(3, 900)).astype(np.float32),
        "lengths": np.array([900, 700, 900], np.int32),
        "targets": np.array([0, 2, 1], np.int32),
        "mask": np.array([1, 1, 0], np.float32),
    }
    model = CLDNN(num_classes=3, bands=9, conv=(), lstm=(), dense=(4,))
    task, key = ClassifySound(), jax.random.key(0)
    params, state = task.init(model, key, batch)
    _, metrics = task.test(model, params, state, batch, key, final=True)
    shares = task.outputs(model, params, state, batch)
    want = -np.mean([np.log(shares[0, 0]), np.log(shares[1, 2])])
    np.testing.assert_allclose(compute(metrics)["loss"], want, rtol=1e-5)
    right = np.mean([shares[0].argmax() == 0, shares[1].argmax() == 2])
    assert compute(metrics)["accuracy"] == right
    assert set(metrics["predictions"].values) == {"target", "prediction", "margin", "penalty"}


def test_the_worst_mistake_can_be_heard():
    sounds = np.random.default_rng(0).normal(size=(4, 900)).astype(np.float32)
    batch = {
        "inputs": sounds, "lengths": np.array([900, 700, 800, 900]), "mask": np.ones(4)
    }  # fmt: skip
    values = {"target": [0, 1, 1, 0], "prediction": [0, 0, 0, 0], "penalty": [0.1, 2.0, 5.0, 0.2]}
    figures = classify_sound_figures.mistakes(Rows(values, None), [batch], ("no", "yes"), 8000)
    assert [panel.title for panel in figures["mistakes"].panels] == ["yes taken for no"] * 2
    np.testing.assert_array_equal(figures["worst_mistake"].samples, sounds[2, :800])
    values["prediction"] = values["target"]
    assert classify_sound_figures.mistakes(Rows(values, None), [batch], ("no", "yes"), 8000) == {}


def test_the_best_classes_of_a_sound():
    shares = np.array([0.1, 0.7, 0.2])
    prediction = classify_sound_figures.prediction(np.zeros(800), 8000, ("a", "b", "c"), shares)
    assert prediction.summary == "b 0.700  c 0.200  a 0.100"
    assert prediction.values["top"][0] == {"class": "b", "id": 1, "score": 0.7}
