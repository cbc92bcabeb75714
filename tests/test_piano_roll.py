"""Networks over piano rolls: streams, resets, who sees whom, counts, and sampling."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.biaxial import Biaxial
from nets.gru import GRU
from nets.lstm import LSTM
from nets.piano_roll import PianoRollRNN, draw_keys

RNN = PianoRollRNN(cell=GRU(6), keys=24)
BIAXIAL = Biaxial(keys=24, time=LSTM(5), notes=LSTM(4), lowest=48)


def frames(seed=0, keys=24, length=6):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.random((2, length, keys)) < 0.2, jnp.float32)


@functools.cache
def made(model):
    init = jax.jit(functools.partial(model.init, train=False))
    return init(jax.random.key(0), frames(), frames(1))


def run(model, *arrays):
    return jax.jit(functools.partial(model.apply, train=False))(made(model), *arrays)


@pytest.mark.parametrize("model", [RNN, BIAXIAL])
def test_segments_equal_the_whole_and_a_reset_a_fresh_start(model):
    x, y = frames(), frames(1)
    logits, last = run(model, x, y)
    one, carry = run(model, x[:, :2], y[:, :2])
    two, carry = run(model, x[:, 2:], y[:, 2:], carry)
    np.testing.assert_allclose(jnp.concatenate([one, two], 1), logits, atol=1e-6)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), carry, last)
    reset = jnp.zeros((2, 6), bool).at[0, 2].set(True)
    again, _ = run(model, x, y, None, reset)
    fresh, _ = run(model, x[:, 2:], y[:, 2:])
    np.testing.assert_allclose(again[0, 2:], fresh[0], atol=1e-6)
    np.testing.assert_allclose(again[1], logits[1], atol=1e-6)
    first, _ = run(model, x[:, 2:3], y[:, 2:3], carry, jnp.ones((2, 1), bool))
    np.testing.assert_allclose(first, fresh[:, :1], atol=1e-6)


def test_a_key_sees_all_earlier_frames_and_the_lower_keys_of_its_own():
    x, y = frames(), frames(1)

    def logit(x, y):
        return run(BIAXIAL, x, y)[0][0, 3, 10]

    by_x, by_y = jax.grad(logit, (0, 1))(x, y)
    assert not by_x[0, 4:].any() and by_x[0, 3].any() and by_x[0, 0].any()
    assert not by_x[1].any() and not by_y[1].any()
    assert by_y[0, 3, :10].all() and not by_y[0, 3, 10:].any()
    assert not np.delete(by_y[0], 3, axis=0).any()


def test_a_piece_moved_by_an_octave_is_the_same_over_time_but_for_the_position():
    x = np.zeros((1, 3, 60), np.float32)
    x[0, :, [25, 29]] = 1
    model = Biaxial(keys=60, time=LSTM(5), notes=LSTM(4), lowest=30)
    variables = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), x, x)
    params = jax.tree.map(np.array, variables["params"])
    params["over_time"]["layer_0"]["kernel"][0] = 0  # position
    time = functools.partial(model.apply, {"params": params}, method="_time")
    (h, _), (moved, _) = (time(a, None, None, False) for a in (x, np.roll(x, 12, 2)))
    np.testing.assert_allclose(moved[:, :, 24:48], h[:, :, 12:36], atol=1e-6)
    assert np.abs(h[:, :, 13:37] - h[:, :, 12:36]).max() > 1e-3


def test_features_are_counted_by_hand():
    x = np.zeros((1, 1, 24), np.float32)
    x[0, 0, [0, 4, 12]] = 1  # pitches 48 (C), 52 (E) and 60 (C)
    features = np.asarray(BIAXIAL._features(jnp.asarray(x), jnp.array([[5]])))[0, 0]
    assert features.shape == (24, 54)
    key = features[2]  # 50, a D
    assert key[0] == pytest.approx(50 / 128) and key[1:13].tolist() == np.eye(12)[2].tolist()
    around = np.zeros(25)
    around[[10, 14, 22]] = 1  # two below, two and ten above
    assert key[13:38].tolist() == around.tolist()
    context = np.zeros(12)
    context[[10, 2]] = [2, 1]  # two Cs ten above a D, one E two above it
    assert key[38:50].tolist() == context.tolist()
    assert key[50:].tolist() == [1, -1, 1, -1]  # 5 in bits


@pytest.mark.parametrize("model", [RNN, BIAXIAL])
def test_the_likelier_keys_are_drawn_as_the_logits_of_the_drawn_frame_say(model):
    x, carry = frames()[:, 0], model.initial_carry(2)
    _, drawn = model.apply(made(model), carry, x, jax.random.key(0), 0.0, method="draw")
    assert drawn.shape == (2, 24)
    logits, _ = run(model, x[:, None], drawn[:, None], carry)
    np.testing.assert_array_equal(drawn, logits[:, 0] > 0)


def test_keys_are_drawn_by_their_probabilities():
    logits = jnp.broadcast_to(jnp.array([-1.0, 2.0]), (20_000, 2))
    for temperature in (1.0, 2.0):
        drawn = draw_keys(jax.random.key(0), logits, temperature)
        expected = 1 / (1 + np.exp(-np.array([-1.0, 2.0]) / temperature))
        np.testing.assert_allclose(drawn.mean(0), expected, atol=0.01)


@pytest.mark.parametrize("model", [RNN, BIAXIAL])
def test_other_keys_are_refused(model):
    with pytest.raises(ValueError, match=r"inputs must be \[B, T, 24\], got shape \[2, 6, 88\]"):
        run(model, frames(keys=88), frames(keys=88))
