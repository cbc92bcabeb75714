"""Neural Turing machines: a plain loop, streams, padding, gradients, published counts, mistakes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM
from nets.ntm import NTM, MemoryRNN

CELLS = {
    "feedforward": NTM(6, slots=5, width=3, read_heads=2),
    "lstm": NTM(6, "lstm", slots=5, width=3, write_heads=2),
}
of_both = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def inputs(seed=0, steps=4):
    return np.random.default_rng(seed).normal(size=(2, steps, 4)).astype(np.float32)


@functools.cache
def made(layer):
    variables = jax.jit(layer.init)(jax.random.key(0), inputs())
    return jax.tree.map(
        lambda a: a + 0.3 * jax.random.normal(jax.random.key(1), a.shape), variables
    )


@functools.cache
def run(layer):
    return jax.jit(functools.partial(layer.apply, made(layer)))


def softplus(x):
    return np.log1p(np.exp(x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def machine(cell, w, x):
    """Outputs [T, F] and weightings [T, H, N] of one row x [T, D], slot by slot."""
    n, m, r = cell.slots, cell.width, cell.read_heads
    count, writers = r + cell.write_heads, cell.write_heads
    h = c = np.zeros(cell.features)
    reads, memory, before = np.zeros((r, m)), np.zeros((n, m)), np.eye(n)[[0] * count]
    outputs, weightings = [], []
    for x_t in x:
        z = x_t @ w["kernel"] + w["bias"]
        if cell.controller == "lstm":
            z = z + np.concatenate([h, reads.ravel()]) @ w["recurrent_kernel"]
            i, f, g, o = np.split(z, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            h = np.tanh(z + reads.ravel() @ w["recurrent_kernel"])
        told = h @ w["head_kernel"] + w["head_bias"]
        sizes = [count * m, count, count, 3 * count, count, writers * m]
        keys, strengths, gates, shifts, powers, erased, added = np.split(told, np.cumsum(sizes))
        after = np.zeros((count, n))
        for k in range(count):
            key = np.tanh(keys.reshape(count, m)[k])
            lengths = np.sqrt((memory**2).sum(1) + 1e-6) * np.sqrt((key**2).sum() + 1e-6)
            content = softmax(softplus(strengths[k]) * (memory @ key) / lengths)
            gate, share = sigmoid(gates[k]), softmax(shifts.reshape(count, 3)[k])
            between = gate * content + (1 - gate) * before[k]
            moved = sum(share[j] * np.roll(between, j - 1) for j in range(3))
            power = moved ** (1 + softplus(powers[k]))
            after[k] = power / power.sum()
        reads = np.stack([after[k] @ memory for k in range(r)])
        for k in range(writers):
            memory = memory * (1 - np.outer(after[r + k], sigmoid(erased.reshape(-1, m)[k])))
        for k in range(writers):
            memory = memory + np.outer(after[r + k], np.tanh(added.reshape(-1, m)[k]))
        before = after
        outputs.append(np.concatenate([h, reads.ravel()]))
        weightings.append(after)
    return np.stack(outputs), np.stack(weightings)


@of_both
def test_a_machine_is_the_plain_loop(cell):
    layer, x = Recurrent(cell), inputs()
    y, ((carry,),) = run(layer)(x)
    weights = jax.tree.map(np.asarray, made(layer)["params"]["layer_0"])
    for row in range(2):
        outputs, weightings = machine(cell, weights, x[row])
        np.testing.assert_allclose(y[row], outputs, atol=2e-5)
        np.testing.assert_allclose(carry.weightings[row], weightings[-1], atol=2e-5)
    np.testing.assert_allclose(carry.weightings.sum(-1), 1, atol=1e-5)


@of_both
def test_a_stream_equals_the_whole_and_padding_changes_nothing(cell):
    layer, x = Recurrent(cell), inputs()
    whole, last = run(layer)(x)
    y, carry = run(layer)(x[:, :1])
    ys = [y[:, 0]]
    for t in range(1, 4):
        y, carry = run(layer)(x[:, t : t + 1], carry)
        ys.append(y[:, 0])
    np.testing.assert_allclose(np.stack(ys, 1), whole, atol=1e-6)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), carry, last)
    padded, carry = run(layer)(x, lengths=jnp.array([4, 1]))
    first, _ = run(layer)(x[:, :1])
    np.testing.assert_allclose(padded[1, 0], first[1, 0], atol=1e-6)
    assert not padded[1, 1:].any()


def test_a_reset_begins_anew():
    layer, x = Recurrent(CELLS["feedforward"]), inputs()
    reset = jnp.zeros((2, 4), bool).at[0, 2].set(True)
    y, _ = run(layer)(x, reset=reset)
    fresh, _ = run(layer)(x[:, 2:])
    np.testing.assert_allclose(y[0, 2:], fresh[0], atol=1e-6)


def test_what_was_written_is_read_later_and_nothing_is_seen_early():
    layer, x = Recurrent(CELLS["feedforward"]), inputs()
    by_x = jax.grad(lambda x: run(layer)(x)[0][0, 2].sum())(jnp.asarray(x))
    assert by_x[0, 0].any() and by_x[0, 2].any()  # a feed-forward controller has no other memory
    assert not by_x[0, 3:].any() and not by_x[1].any()


@pytest.mark.parametrize(
    ("units", "read", "written", "count"),
    [(256, 10, 9, 1_352_969), (512, 8, 7, 5_312_007), (256, 8, 6, 1_344_518), (128, 1, 1, 331_905)],
)
def test_the_lstm_has_the_published_number_of_parameters(units, read, written, count):
    """Table 3 of the paper: copy, repeat copy, associative recall, n-grams."""
    model = MemoryRNN(written, LSTM(units), layers=3)
    shapes = jax.eval_shape(
        lambda: model.init(jax.random.key(0), jnp.zeros((1, 2, read)), train=False)
    )
    assert sum(a.size for a in jax.tree.leaves(shapes)) == count


def test_the_beginning_is_learned():
    for model in (MemoryRNN(2, CELLS["lstm"]), MemoryRNN(2, LSTM(3), layers=2)):
        init = jax.jit(functools.partial(model.init, train=False))
        params = init(jax.random.key(0), inputs())["params"]
        apply = jax.jit(lambda p, x, model=model: model.apply({"params": p}, x, train=False)[0])
        by = jax.grad(lambda p, apply=apply: apply(p, inputs()).sum())(params)
        names = {name: value for name, value in by.items() if name.startswith("initial")}
        expected = {"h", "c", "reads"} if model.layers == 1 else {"h", "c"}
        assert {name.split("_")[1] for name in names} == expected
        assert all(value.any() for value in names.values())


def test_names_of_heads_and_their_weightings():
    model = MemoryRNN(2, CELLS["feedforward"])
    variables = model.init(jax.random.key(0), inputs(), train=False)
    _, carry = model.apply(variables, inputs(), train=False)
    where = model.traces(carry)
    assert {*where} == {"read 1", "read 2", "write 1"} and where["write 1"].shape == (2, 5)
    deep = MemoryRNN(2, NTM(4, slots=5, width=3), layers=2)
    first, (second,) = deep._zeros(2)
    where = deep.traces((first, (second._replace(weightings=second.weightings + 1),)))
    assert [*where] == ["read 1", "write 1", "read 1, layer 1", "write 1, layer 1"]
    assert [float(w.mean()) for w in where.values()] == [0, 0, 1, 1]
    assert MemoryRNN(2, LSTM(3)).traces(MemoryRNN(2, LSTM(3))._zeros(2)) == {}


def test_weightings_that_sum_to_more_than_one_by_rounding_stay_finite():
    """The first slot would get what is missing to one, which is then below zero."""
    cell, x = NTM(4, slots=5, width=3), jnp.zeros((1, 4))
    layer = Recurrent(cell)
    weights = layer.init(jax.random.key(0), x[:, None])["params"]["layer_0"]
    weights = jax.tree.map(jnp.zeros_like, weights)
    gates = 2 * cell.width + 2 + jnp.arange(2)
    weights["head_bias"] = weights["head_bias"].at[gates].set(-40.0)  # nothing by content
    carry = layer.initial_carry(x.shape)[0][0]
    above = jnp.array([0, 1 + 4e-7, 0, 0, 0])
    carry = carry._replace(weightings=jnp.broadcast_to(above, carry.weightings.shape))

    def total(carry):
        after = cell.update(weights, carry, cell.project(weights, x))
        return after.weightings.sum(), after.weightings

    gradient, after = jax.grad(total, has_aux=True)(carry)
    np.testing.assert_allclose(after.sum(-1), 1, rtol=1e-6)
    assert all(bool(jnp.isfinite(a).all()) for a in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"controller": "gru"}, "controller must be one of feedforward, lstm, got 'gru'"),
        ({"features": 0}, "cell.features must be at least 1, got 0"),
        ({"slots": 0}, "slots must be at least 1, got 0"),
        ({"shifts": 2}, "shifts must be odd and at most slots=128, got 2"),
        ({"slots": 3, "shifts": 5}, "shifts must be odd and at most slots=3, got 5"),
    ],
)
def test_mistakes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(Recurrent(NTM(**{"features": 4} | fields)).init, jax.random.key(0), inputs())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MemoryRNN(2, LSTM(3), layers=0), "MemoryRNN.layers must be at least 1, got 0"),
        (MemoryRNN(cell=LSTM(3)), "MemoryRNN.num_outputs must be at least 1, got None"),
    ],
)
def test_a_network_has_layers_and_outputs(model, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.init(jax.random.key(0), inputs(), train=False))
