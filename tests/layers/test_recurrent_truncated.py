import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_bptt import StreamState, truncated_scan, truncated_segment
from nets.lstm import LSTM
from tests.support import plain_recurrent
from tests.support.checks import assert_close, jit, temporary_bytes

# k2 - k1 is a multiple of k1, or not; the last three cut nothing
PAIRS = [(1, 1), (1, 2), (1, 5), (2, 3), (2, 4), (2, 7), (3, 3), (3, 4), (3, 8), (4, 9), (6, 11)]
PAIRS += [(1, 12), (4, 12), (3, 40)]


def scalar_run(w, carry, xs):
    """h_t = w h_{t-1} + x_t, and all h."""

    def step(h, x):
        h = w * h + x
        return h, h

    return lax.scan(step, carry, xs)


@pytest.mark.parametrize("k1, k2", PAIRS)
def test_by_hand(k1, k2):
    """The gradient of sum_t h_t is the sum of those products w^(t - s) that truncation keeps."""
    w, h0, x = 0.5, 3.0, np.array([1.0, -2, 4, 3, 0, 1, 5, -1, 2, 2, -3, 1])
    h = [h0]
    for value in x:
        h.append(w * h[-1] + value)
    of_w, of_x, of_h0 = 0.0, np.zeros_like(x), 0.0
    for t in range(1, len(x) + 1):
        n = -(-t // k1) * k1  # where the segment of t ends
        for distance in range(t):  # from step t back to step s
            s = t - distance
            if s > n - k2:
                of_w += w**distance * h[s - 1]
                of_x[s - 1] += w**distance
        if n <= k2:
            of_h0 += w**t

    def value(w, h0, x):
        last, ys = truncated_scan(functools.partial(scalar_run, w), h0, x, k1, k2)
        return ys.sum(), (last, ys)

    with jax.enable_x64(True):
        gradient, outputs = jit(jax.grad(value, argnums=(0, 1, 2), has_aux=True))(w, h0, x)
        jax.tree.map(np.testing.assert_array_equal, outputs, (h[-1], np.array(h[1:])))
        jax.tree.map(np.testing.assert_array_equal, gradient, (of_w, of_h0, of_x))


def results(ys):
    """Two results for each step, of which one has another rank."""
    return {"h": ys.swapaxes(0, 1), "square": jnp.square(ys).sum(-1).T}


def lstm():
    """A scan, time first, by the model that comes next; its weights, a carry and inputs."""
    rng = np.random.default_rng(0)
    model = Recurrent(LSTM(2), backend="fused")
    params = plain_recurrent.random_params(rng, model, 3)
    carry = model.initial_carry((2, 3))
    carry = jax.tree.map(lambda a: np.tanh(rng.normal(size=a.shape)), carry)
    model = model.clone(dtype=jnp.float64, param_dtype=jnp.float64)

    def run(params, carry, xs):
        ys, carry = model.apply({"params": params}, xs.swapaxes(0, 1), carry)
        return carry, results(ys)

    return run, model, params, carry, rng.normal(size=(12, 2, 3))


def weighted(ys, weights):
    """A sum of results in which each step has its own weight."""
    return sum((weights @ a.reshape(len(a), -1)).sum() for a in jax.tree.leaves(ys))


def brute_force(run, params, carry, xs, k1, k2):
    """The sum of the gradients of all segments, each stopped at n - k2."""
    times = np.arange(len(xs))
    weights = np.cos(times)

    @jit
    @functools.partial(jax.grad, argnums=(0, 1, 2))
    def gradient(params, carry, xs, n):
        def step(carry, inputs):
            x, t = inputs
            cut = (t == n - k2) & (t > 0)
            carry = jax.tree.map(lambda a: jnp.where(cut, lax.stop_gradient(a), a), carry)
            carry, y = run(params, carry, x[None])
            return carry, jax.tree.map(lambda a: a[0], y)

        _, ys = lax.scan(step, carry, (xs, times))
        return weighted(ys, jnp.where((times >= n - k1) & (times < n), weights, 0))

    segments = [gradient(params, carry, xs, n) for n in range(k1, len(xs) + 1, k1)]
    return jax.tree.map(lambda *a: sum(a), *segments)


@pytest.mark.parametrize("k1, k2", [(2, 7), (4, 12)])
def test_equals_the_sum_over_segments(k1, k2):
    run, _, *differentiable = lstm()

    def value(params, carry, xs):
        last, ys = truncated_scan(functools.partial(run, params), carry, xs, k1, k2)
        return weighted(ys, np.cos(np.arange(len(xs)))), (last, ys)

    with jax.enable_x64(True):
        gradient, outputs = jit(jax.grad(value, (0, 1, 2), has_aux=True))(*differentiable)
        assert_close(outputs, jit(run)(*differentiable))
        assert_close(gradient, brute_force(run, *differentiable, k1, k2))


@pytest.mark.parametrize("k2, passes", [(4, False), (11, False), (12, True), (13, True)])
def test_gradient_of_the_last_carry(k2, passes):
    def last(w, h0, x):
        return truncated_scan(functools.partial(scalar_run, w), h0, x, 4, k2)[0]

    gradient = jax.grad(last, argnums=(0, 1, 2))(0.5, 1.0, jnp.ones(12))
    assert {bool(g) for g in np.hstack(gradient)} == {passes}


@pytest.mark.parametrize("k1, k2", [(3, 3), (3, 4), (2, 6), (4, 15)])
def test_segments_of_a_stream(k1, k2):
    """The gradients of the updates, each of one segment's loss, add up to the brute force."""
    run, model, params, carry, xs = lstm()

    def flagged(params, carry, steps):
        xs, begins = steps
        reset = jnp.broadcast_to(begins[None], xs.shape[1::-1])
        ys, carry = model.apply({"params": params}, xs.swapaxes(0, 1), carry, reset=reset)
        return carry, results(ys)

    def value(params, state, steps, weights):
        state, ys = truncated_segment(functools.partial(flagged, params), state, steps)
        return weighted(ys, weights), (state, ys)

    begins, back = np.arange(len(xs)) == 0, k2 - k1
    past = (np.ones((back, *xs.shape[1:])), np.zeros(back, bool)) if back else ()
    state, gradients, results_of_all = StreamState(carry, past), [], []
    with jax.enable_x64(True):
        update = jit(jax.grad(value, has_aux=True))
        for n in range(0, len(xs), k1):
            segment = slice(n, n + k1)
            steps, weights = (xs[segment], begins[segment]), np.cos(np.arange(n, n + k1))
            gradient, (state, ys) = update(params, state, steps, weights)
            gradients.append(gradient)
            results_of_all.append(ys)
        zeros = jax.tree.map(np.zeros_like, carry)
        _, expected = run(params, zeros, xs)
        assert_close(jax.tree.map(lambda *a: jnp.concatenate(a), *results_of_all), expected)
        total = jax.tree.map(lambda *a: sum(a), *gradients)
        assert_close(total, brute_force(run, params, zeros, xs, k1, k2)[0])


def test_no_gradient_passes_further_in_one_function_of_two_segments():
    def second(x):
        state = StreamState(jnp.float32(1), jnp.zeros(2))
        state, _ = truncated_segment(functools.partial(scalar_run, 0.5), state, x[:4])
        return truncated_segment(functools.partial(scalar_run, 0.5), state, x[4:])[1].sum()

    of_x = jax.jit(jax.grad(second))(jnp.ones(8))
    expected = [sum(0.5 ** (t - s) for t in range(max(s, 4), 8)) for s in range(8)]
    np.testing.assert_array_equal(of_x, [0, 0, *expected[2:]])


def test_saves_one_segment():
    def room(length):
        def value(w, h0, x):
            return truncated_scan(functools.partial(scalar_run, w), h0, x, 32, 48)[1].sum()

        shapes = (), (64,), (length, 64)
        shapes = (jax.ShapeDtypeStruct(shape, "float32") for shape in shapes)
        return temporary_bytes(jax.grad(value), *shapes)

    assert room(8192) < 4 * room(512)


def test_errors():
    run = functools.partial(scalar_run, 0.5)
    for k1, k2, message in (
        (0, 2, "k1 must be at least 1, got 0"),
        (3, 2, "k2 must be at least 3, got 2"),
        (5, 5, "must be a multiple of k1=5, got 12"),
        (5, 40, "must be a multiple of k1=5, got 12"),
    ):
        with pytest.raises(ValueError, match=message):
            truncated_scan(run, 0.0, jnp.ones(12), k1, k2)
