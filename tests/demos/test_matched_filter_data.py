"""Pulses in noise: what is left without the pulse is white, of the deviation that was asked for."""

import numpy as np
import pytest

from nets.demos.matched_filter import NoisyPulses, pulse
from nets.errors import UserError


def test_a_signal_is_noise_and_a_pulse_at_its_place():
    data = NoisyPulses(length=64, width=16, snr=16.0, batch_size=4000)
    batch = data.train(0)[0]
    noise = batch["inputs"][..., 0].astype(float)
    for row, place in enumerate(batch["targets"]):
        noise[row, place : place + 16] -= batch["pulse"][row]
    assert noise.std() == pytest.approx(0.25, rel=0.01)
    assert abs(np.mean(noise[:, 1:] * noise[:, :-1])) < 0.25**2 * 0.02  # white
    assert set(batch["targets"]) == set(range(64 - 16 + 1))


def test_the_pulse_has_energy_one_and_is_not_its_mirror_image():
    for width in (8, 32, 100):
        assert np.sum(pulse(width) ** 2) == pytest.approx(1)
    mirrored = np.correlate(pulse(32), pulse(32)[::-1], "full")
    assert np.abs(mirrored).max() < 0.75


def test_batches_are_a_function_of_seed_and_step():
    one, again, other = (NoisyPulses().train(seed)[3]["inputs"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()
    sets = [
        NoisyPulses(eval_size=10).evaluate(split)[0]["inputs"][:10]
        for split in NoisyPulses().splits()
    ]
    assert (sets[0] != sets[1]).all()


def test_the_facts_hold_the_pulse_that_was_sent():
    data = NoisyPulses(width=8, length=20)
    np.testing.assert_allclose(data.metadata()["pulse"], data.train(0)[0]["pulse"][0], rtol=1e-6)
    assert {k: (v.shape, v.dtype) for k, v in data.train(0)[0].items()} == data.spec().arrays


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="width must be from 2 to length=256, got 300"):
        NoisyPulses(width=300)
    with pytest.raises(UserError, match="snr must be positive, got 0.0"):
        NoisyPulses(snr=0.0)
