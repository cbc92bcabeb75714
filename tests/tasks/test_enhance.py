"""Enhancement: its ratios and criteria against plain numpy, scores by ratio, its figures."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.audio_noise import NoisySpeech
from nets.enhancement import Enhancer, SplicedMLP
from nets.errors import UserError
from nets.report.sound import Sound
from nets.tasks import enhance, enhance_figures
from nets.tasks.enhance import Enhance, by_ratio, phase_sensitive, si_sdr
from nets.tasks.metrics import Rows


def test_the_ratio_is_that_of_orthogonal_parts():
    """Ten times the target, and an orthogonal error of a tenth of its energy: 10 dB."""
    rng = np.random.default_rng(0)
    target, error = rng.normal(size=(2, 3, 500))
    error -= (error * target).sum(-1, keepdims=True) / (target**2).sum(-1, keepdims=True) * target
    error *= np.sqrt((target**2).sum(-1, keepdims=True) / (error**2).sum(-1, keepdims=True) / 10)
    found = si_sdr(jnp.asarray(10 * (target + error)), jnp.asarray(target))
    np.testing.assert_allclose(found, 10, atol=1e-3)


def test_the_phase_sensitive_error_is_that_of_a_loop():
    rng = np.random.default_rng(1)
    noisy, clean = (rng.normal(size=(2, 3, 4, 2)) @ (1, 1j) for _ in range(2))
    mask = rng.random((2, 3, 4))
    want = np.zeros(2)
    for b, t, f in np.ndindex(2, 3, 4):
        y, s = noisy[b, t, f], clean[b, t, f]
        aligned = abs(s) * np.cos(np.angle(s) - np.angle(y))
        want[b] += (mask[b, t, f] * abs(y) - aligned) ** 2
    want /= (abs(clean) ** 2).sum((1, 2))
    found = phase_sensitive(*(jnp.asarray(a) for a in (mask, noisy, clean)))
    np.testing.assert_allclose(found, want, rtol=1e-4)


def test_scores_are_means_of_the_sounds_at_a_ratio():
    values = {"snr": [-5.0, 5.0, -5.0], "si_sdr": [1.0, 7.0, 2.0]}
    scores = by_ratio(Rows({k: list(map(np.float32, v)) for k, v in values.items()}, None), 8000)
    assert scores == {"si_sdr_-5db": 1.5, "si_sdr_5db": 7.0}


def test_intelligibility_is_pystois():
    """1 of the sound itself, and less the more noise there is."""
    pytest.importorskip("pystoi")
    rng = np.random.default_rng(0)
    clean = rng.normal(size=16000) * np.repeat(rng.random(40) > 0.3, 400)
    sounds = [clean, clean + 0.5 * rng.normal(size=16000), clean + 3 * rng.normal(size=16000)]
    rows = {"snr": [30.0, 6.0, -10.0], "clean": [clean] * 3, "stoi": sounds}
    scores = by_ratio(Rows(rows, None), 8000)
    assert abs(scores["stoi_30db"] - 1) < 1e-6
    assert 0 < scores["stoi_-10db"] < scores["stoi_6db"] < 0.99


def test_without_pystoi_the_extra_is_named_before_the_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(UserError, match=r"STOI needs pystoi: run `pip install -e '.\[speech\]'`"):
        Enhance().init(None, None, {})


def test_a_criterion_of_another_name_is_refused():
    with pytest.raises(UserError, match="criterion must be one of phase_sensitive, si_sdr, got l1"):
        Enhance(criterion="l1")


@pytest.mark.parametrize("criterion", ["phase_sensitive", "si_sdr"])
def test_metrics_of_an_evaluation(criterion):
    """A mask of one half, whatever the sound, leaves the ratio as it was."""
    import jax

    data = NoisySpeech(duration=0.2, eval_size=2, eval_batch_size=8, eval_snrs=(0.0, 5.0))
    (batch,) = data.evaluate("test")
    model, task = Enhancer(SplicedMLP((4,)), 64, 32), Enhance(criterion, stoi=False)
    params, state = task.init(model, jax.random.key(0), batch)
    params = jax.tree.map(jnp.zeros_like, params)
    _, metrics = task.test(model, params, state, batch, jax.random.key(0), final=True)
    from nets.tasks.metrics import add

    values = task.finish(add({}, metrics), {"rate": 8000}, None)
    assert abs(values["improvement"]) < 1e-4
    assert abs(values["si_sdr_5db"] - values["si_sdr_noisy_5db"]) < 1e-4
    assert abs(values["si_sdr_noisy_0db"]) < 1.5 and len(metrics["sounds"].values["snr"]) == 8
    want = {"si_sdr": -values["si_sdr"]}
    assert criterion != "si_sdr" or abs(values["loss"] - want["si_sdr"]) < 1e-4


def test_figures_have_every_sound_before_and_after():
    noisy, enhanced, clean = np.random.default_rng(0).normal(size=(3, 2, 800))
    figures = enhance_figures.examples(noisy, enhanced, clean, np.array([-5.0, 5.0]), 8000)
    assert len(figures["spectrograms"].panels) == 6
    assert isinstance(figures["sound_-5db_noisy"], Sound)
    np.testing.assert_array_equal(figures["sound_5db_clean"].samples, clean[1])
    prediction = enhance_figures.prediction(noisy[0], noisy[0] / 2, 8000)
    assert prediction.summary == "enhanced; 25% of the energy removed"
    assert set(prediction.files) == {"enhanced", "removed"}


def test_a_spectrogram_has_its_peak_at_the_tone():
    sound = np.sin(2 * np.pi * 1500 * np.arange(4000) / 8000)
    panel = enhance_figures.spectrogram("tone", sound, 8000)
    bins = panel.power[5:-5].argmax(1) / (panel.power.shape[1] - 1) * 4000
    assert panel.seconds == 0.5 and np.abs(bins - 1500).max() < 20


def test_stoi_is_imported_inside_the_function():
    assert "pystoi" not in vars(enhance)
