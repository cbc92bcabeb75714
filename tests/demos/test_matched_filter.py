"""The matched filter against Bayes' rule, NumPy's correlation and hand-worked ratios."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.demos import matched_filter
from nets.demos.matched_filter import DetectPulse, LinearFilter, NoisyPulses, pulse
from nets.errors import UserError
from nets.tasks.task import Trained

DATA = NoisyPulses(length=40, width=8, snr=16.0, batch_size=50)


def params(kernel):
    return {"filter": {"kernel": jnp.asarray(kernel, jnp.float32)[:, None, None]}}


def test_the_pulse_over_the_variance_gives_the_probability_of_each_place():
    """Bayes' rule on Gaussian densities of whole signals, all places being as likely."""
    batch, model = DATA.train(0)[0], LinearFilter(window=8)
    logits = model.apply({"params": params(16 * pulse(8))}, batch["inputs"], train=False)
    for signal, scores in zip(batch["inputs"][:5, :, 0], logits, strict=False):
        density = np.empty(33)
        for place in range(33):
            clean = np.zeros(40)
            clean[place : place + 8] = pulse(8)
            density[place] = np.exp(-16 * np.sum((signal - clean) ** 2) / 2)
        want = density / density.sum()
        np.testing.assert_allclose(jax.nn.softmax(scores), want, rtol=1e-3, atol=1e-7)


def test_the_shares_found_are_those_of_numpys_correlation_and_convolution():
    batch, found = DATA.train(0)[1], {"correlated": 0, "convolved": 0}
    for signal, place in zip(batch["inputs"][..., 0], batch["targets"], strict=True):
        found["correlated"] += np.correlate(signal, pulse(8), "valid").argmax() == place
        found["convolved"] += np.convolve(signal, pulse(8), "valid").argmax() == place
    model, key = LinearFilter(window=8), jax.random.key(0)
    _, (_, sums) = DetectPulse().loss(model, params(pulse(8)), {}, batch, key, train=False)
    values = DetectPulse().finish(sums, {}, None)
    assert values["correlated"] == values["accuracy"] == pytest.approx(found["correlated"] / 50)
    assert values["convolved"] == pytest.approx(found["convolved"] / 50)
    assert values["correlated"] > 0.5 > values["convolved"]


def test_padding_counts_for_nothing():
    batch, model = dict(DATA.train(0)[0]), LinearFilter(window=8)

    def run(batch):
        return DetectPulse().loss(model, params(pulse(8)), {}, batch, None, train=False)

    few = run({k: v[:20] for k, v in batch.items()})
    batch["mask"] = (np.arange(50) < 20).astype(np.float32)
    padded = run(batch)
    np.testing.assert_allclose(padded[0], few[0], rtol=1e-5)
    assert DetectPulse().finish(padded[1][1], {}, None) == pytest.approx(
        DetectPulse().finish(few[1][1], {}, None), rel=1e-5
    )


def test_signal_over_noise_by_hand():
    output = np.array([[4.0, 9, 1, -1, 1, -1], [1, -1, 1, 9, 2, -1]])
    # at the pulse 4 and 2, mean 3; two steps and more away 1, -1, 1, -1 and 1, -1, 1
    away = np.array([1, -1, 1, -1, 1, -1, 1])
    found = matched_filter.snr(output, np.array([0, 4]), 2)
    assert found == pytest.approx(9 / away.var())


def test_no_kernel_has_a_greater_ratio_than_the_pulse():
    data = NoisyPulses(length=40, width=8, snr=16.0, eval_size=4000, eval_batch_size=4000)
    batch = data.evaluate("test")[0]
    signals, places = batch["inputs"][..., 0], batch["targets"]

    def ratio(kernel):
        output = np.lib.stride_tricks.sliding_window_view(signals, 8, 1) @ kernel
        return matched_filter.snr(output, places, 8)

    best, rng = ratio(pulse(8)), np.random.default_rng(0)
    assert best == pytest.approx(16, rel=0.05)
    assert all(ratio(pulse(8) + rng.normal(0, 0.15, 8)) < best for _ in range(10))


def test_the_figures_show_the_learnt_kernel_beside_the_pulse():
    batch = DATA.evaluate("test")[0]
    model = LinearFilter(window=8)
    trained = Trained(model, params(3 * pulse(8)), {}, DATA.metadata(), None, None, None)
    found = DetectPulse().figures(trained, [batch], {}, final=True)
    signal, outputs, kernels = found["matched_filter"].panels
    np.testing.assert_allclose(kernels.curves["learnt"], pulse(8), rtol=1e-5)
    np.testing.assert_allclose(kernels.curves["the pulse"], pulse(8), rtol=1e-5)
    labels = [chart.y_label for chart in (signal, outputs, kernels)]
    assert labels == ["amplitude", "output", "weight"]
    assert signal.mark == outputs.mark == ("where the pulse begins", batch["targets"][0])
    want = np.correlate(batch["inputs"][0, :, 0], pulse(8), "valid")
    np.testing.assert_allclose(outputs.curves["correlated with the pulse"], want, atol=1e-5)
    want = np.convolve(batch["inputs"][0, :, 0], pulse(8), "valid")
    np.testing.assert_allclose(outputs.curves["convolved with the pulse"], want, atol=1e-5)


def test_a_window_unlike_the_pulse_is_refused():
    with pytest.raises(UserError, match="model.window must be 8, the width of the pulse, got 9"):
        DetectPulse().init(LinearFilter(window=9), jax.random.key(0), DATA.train(0)[0])
