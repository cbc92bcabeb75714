import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.elman import Elman
from nets.gru import GRU
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM
from tests.support import plain_recurrent
from tests.support.accumulator import Accumulator
from tests.support.checks import jit

BACKENDS = pytest.mark.parametrize("backend", ["scan", "fused"])


def in_training(model, params, x, carry=None, seed=0, **options):
    rngs = {"dropout": jax.random.key(seed)}
    apply = functools.partial(model.apply, train=True, rngs=rngs, **options)
    return jit(apply)({"params": params}, x, carry)


def assert_frequency(mask, probability):
    """Within five standard deviations of a mean of Bernoulli draws."""
    deviation = (probability * (1 - probability) / mask.size) ** 0.5
    assert abs(mask.mean() - probability) < 5 * deviation


@pytest.mark.parametrize("variational, residual", [(False, True), (True, False)])
def test_dropout_is_between_layers(variational, residual):
    """Accumulators: the differences of totals are the inputs."""
    batch, time, width, keep = 8, 12, 16, 0.75
    model = Recurrent(
        Accumulator(width), 3, residual=residual, dropout=1 - keep, variational=variational
    )
    x = jnp.ones((batch, time, width))
    outputs, _, stages = in_training(model, {}, x, stages=True)
    np.testing.assert_array_equal(stages[0], np.cumsum(x, 1))
    np.testing.assert_array_equal(outputs, stages[2])
    masks = []
    for below, above in zip(stages[:-1], stages[1:], strict=True):
        steps = np.diff(above - residual * below, axis=1, prepend=0)
        masks.append(np.abs(steps) > 0.01)
        expected = np.where(masks[-1], below / keep, 0)
        np.testing.assert_allclose(steps, expected, rtol=1e-3, atol=1e-3)
    first, second = masks
    assert_frequency(first[:, 0] if variational else first, keep)
    same_at_all_steps = np.all(first == first[:, :1], axis=(1, 2))
    assert np.all(same_at_all_steps == variational)
    assert np.any(first[0] != first[1]) and np.any(first != second)
    y = np.cumsum(x, 1)
    for _ in range(2):
        y = np.cumsum(y, 1) + residual * y
    np.testing.assert_array_equal(model.apply({}, x)[0], y)


def test_dropout_spares_a_single_layer():
    rng, model = np.random.default_rng(0), Recurrent(GRU(2), bidirectional=True, dropout=0.5)
    params, x = plain_recurrent.random_params(rng, model, 5), rng.normal(size=(3, 4, 5))
    got, want = in_training(model, params, x), jit(model.apply)({"params": params}, x)
    jax.tree.map(np.testing.assert_array_equal, got, want)


@BACKENDS
def test_recurrent_dropout(backend):
    """h_t = x_t + h_{t-1} R from x_0 = 1 alone: h_t is the power t of the R that the call has."""
    units, drop = 12, 0.25
    model = Recurrent(Elman(units, activation=lambda z: z), recurrent_dropout=drop, backend=backend)
    recurrent = np.random.default_rng(0).uniform(0.1, 0.3, (units, units))
    params = {
        "layer_0": {
            "kernel": np.eye(units),
            "recurrent_kernel": recurrent,
            "bias": np.zeros(units),
        }
    }
    x = np.zeros((units, 4, units))
    x[:, 0] = np.eye(units)
    outputs = np.asarray(in_training(model, params, x)[0])
    used = outputs[:, 1]
    mask = used != 0
    assert_frequency(mask, 1 - drop)
    np.testing.assert_allclose(used, np.where(mask, recurrent / (1 - drop), 0), rtol=1e-5)
    for t in (0, 2, 3):
        np.testing.assert_allclose(
            outputs[:, t], np.linalg.matrix_power(used, t), rtol=1e-5, atol=1e-7
        )
    other = in_training(model, params, x, seed=1)[0]
    assert np.any((other[:, 1] != 0) != mask)
    np.testing.assert_allclose(model.apply({"params": params}, x)[0][:, 1], recurrent, rtol=1e-6)


@BACKENDS
def test_zoneout_keeps_what_it_keeps(backend):
    """Each unit of each step: its value before, or the new one; then the mean, in evaluation."""
    keep, units, shape = 0.25, 20, (10, 8, 3)
    rng = np.random.default_rng(0)
    model = Recurrent(GRU(units), zoneout=(keep,), backend=backend)
    params = plain_recurrent.random_params(rng, model, shape[-1])
    x, h = rng.normal(size=shape), np.tanh(rng.normal(size=(shape[0], units))).astype(np.float32)
    carry = jax.tree.unflatten(jax.tree.structure(model.initial_carry((10, 3))), [h])
    outputs, last = in_training(model, params, x, carry)
    before = np.concatenate([h[:, None], outputs[:, :-1]], axis=1)
    mask = outputs == before
    step = [
        plain_recurrent.gru(params["layer_0"], x[i], (before[i],))[0] for i in np.ndindex(10, 8)
    ]
    fresh = np.reshape(step, before.shape)
    np.testing.assert_allclose(outputs, np.where(mask, before, fresh), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(jax.tree.leaves(last)[0], outputs[:, -1])
    assert_frequency(mask, keep)
    assert np.any(mask[:, 0] != mask[:, 1]) and np.any(mask[0] != mask[1])


@BACKENDS
@pytest.mark.parametrize("lookahead", [None, 0])
def test_zoneout_of_each_entry_of_the_carry(backend, lookahead):
    """One step of an LSTM forwards and one backwards, from a known carry or from zeros."""
    keep, units, batch = (0.4, 0.1), 30, 40
    rng = np.random.default_rng(0)
    model = Recurrent(
        LSTM(units), bidirectional=True, lookahead=lookahead, zoneout=keep, backend=backend
    )
    params = plain_recurrent.random_params(rng, model, 3)
    x = rng.normal(size=(batch, 1, 3))
    carry = model.initial_carry((batch, 3))
    carry = jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape)), carry)
    outputs, last = in_training(model, params, x, carry)
    masks = []
    for d, state in enumerate(carry[0]):
        weights = params["layer_0_reverse" if d else "layer_0"]
        rows = ([a[b] for a in state] for b in range(batch))
        fresh = [plain_recurrent.lstm(weights, x[b, 0], row) for b, row in enumerate(rows)]
        for entry, p in enumerate(keep):
            got = last[0][d][entry]
            mask = got == state[entry]
            expected = np.where(mask, state[entry], [new[entry] for new in fresh])
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
            assert_frequency(mask, p)
            masks.append(mask)
    if lookahead is not None:  # whose carry is no result: h begins at zero
        mask = outputs[:, 0, units:] == 0
        assert_frequency(mask, keep[1])
        masks.append(mask)
    assert np.any(masks[0] & ~masks[1]) and np.any(masks[1] & ~masks[0])
    assert np.any(masks[1] != masks[-1])
