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
from tests.support.checks import assert_close, assert_gradient, jit, temporary_bytes

BATCH, TIME, INPUTS, UNITS = 5, 6, 3, 2
LENGTHS = np.array([6, 3, 0, 5, 0])
RESET = np.zeros((BATCH, TIME), bool)
RESET[0, [0, 2, 3]] = RESET[3, [0, 4]] = RESET[4, 0] = True
RESET[1, [1, 3]] = RESET[2, 3] = RESET[3, 5] = True  # all but the first of these in padding
CELLS = {"lstm": LSTM(UNITS), "gru": GRU(UNITS), "elman": Elman(UNITS)}
MEAN = {"lstm": (0.3, 0.1), "gru": (0.2,), "elman": (0.4,)}
EVERY = [(cell, backend) for cell in CELLS for backend in ("scan", "fused")]
SOME = [("lstm", "fused"), ("gru", "scan"), ("elman", "fused")]


def random_arguments(model):
    """Random (params, x, carry) for a model."""
    rng = np.random.default_rng(0)
    params = plain_recurrent.random_params(rng, model, INPUTS)
    carry = jax.eval_shape(lambda: model.initial_carry((BATCH, INPUTS)))
    carry = jax.tree.map(lambda a: np.tanh(rng.normal(size=a.shape)), carry)
    return params, rng.normal(size=(BATCH, TIME, INPUTS)), carry


def assert_equals_plain(model, lengths=None, reset=None, padding=None):
    """Outputs, carry and gradients in float64 against NumPy and its finite differences.

    `padding` is put into the padded steps of what the model reads, and not of what NumPy reads.
    """
    rng, arguments = np.random.default_rng(1), random_arguments(model)
    expected = plain_recurrent.run(model, *arguments, lengths, reset)
    weights = jax.tree.map(lambda a: rng.normal(size=a.shape), expected)

    def value(result):
        parts = zip(jax.tree.leaves(weights), jax.tree.leaves(result), strict=True)
        return sum((w * a).sum() for w, a in parts)

    double = model.clone(dtype=jnp.float64, param_dtype=jnp.float64)

    @jit
    @functools.partial(jax.grad, argnums=(0, 1, 2), has_aux=True)
    def gradients(params, x, carry):
        result = double.apply({"params": params}, x, carry, lengths=lengths, reset=reset)
        return value(result), result

    params, x, carry = arguments
    if padding is not None:
        x = np.where(np.arange(TIME)[:, None] < lengths[:, None, None], x, padding)
    with jax.enable_x64(True):
        gradient_and_result = gradients(params, x, carry)
    gradient, result = jax.tree.map(np.asarray, gradient_and_result)
    assert_close(result, expected)

    def numpy_value(*moved):
        return value(plain_recurrent.run(model, *moved, lengths, reset))

    assert_gradient(gradient, numpy_value, arguments)


@pytest.mark.parametrize("cell, backend", EVERY)
def test_lengths(cell, backend):
    assert_equals_plain(Recurrent(CELLS[cell], backend=backend), LENGTHS, padding=np.nan)


@pytest.mark.parametrize("cell, backend", EVERY)
def test_both_directions_with_lengths_and_resets(cell, backend):
    model = Recurrent(CELLS[cell], bidirectional=True, backend=backend, zoneout=MEAN[cell])
    assert_equals_plain(model, LENGTHS, RESET, padding=np.nan)


@pytest.mark.parametrize("cell, backend", SOME)
def test_reading_from_the_end_with_lengths_and_resets(cell, backend):
    model = Recurrent(CELLS[cell], reverse=True, backend=backend)
    assert_equals_plain(model, LENGTHS, RESET, padding=np.nan)


@pytest.mark.parametrize("cell, backend", SOME)
def test_lookahead_with_lengths_and_resets(cell, backend):
    model = Recurrent(CELLS[cell], bidirectional=True, lookahead=2, backend=backend)
    assert_equals_plain(model, LENGTHS, RESET, padding=np.nan)


@pytest.mark.parametrize(
    "options",
    [
        {"layers": 2, "residual": True, "chunk": 4},
        {"layers": 2, "residual": True, "bidirectional": True, "merge": "sum", "chunk": 2},
        {"layers": 2, "bidirectional": True, "merge": "average", "zoneout": (0.2,), "chunk": 9},
        {"layers": 2, "residual": True, "bidirectional": True, "lookahead": 2, "chunk": 1},
        {"bidirectional": True, "merge": "none", "lookahead": 0},
        {"layers": 2, "residual": True, "reverse": True, "chunk": 4},
    ],
    ids=str,
)
def test_stacks(options):
    assert_equals_plain(Recurrent(GRU(UNITS), **options), LENGTHS, RESET, padding=np.nan)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"reverse": True}], ids=str)
def test_reset_of_the_first_step(options):
    model = Recurrent(LSTM(UNITS), **options)
    params, x, carry = random_arguments(model)
    whole = np.zeros((BATCH, TIME), bool)
    whole[:, 0] = first = np.array([True, False, False, True, True])
    given_at = {"lengths": LENGTHS, "reset": first}
    got = jit(lambda x: model.apply({"params": params}, x, carry, **given_at))(x)
    assert_close(got, plain_recurrent.run(model, params, x, carry, LENGTHS, whole), 1e-5)


@pytest.mark.parametrize("cell, backend", SOME)
def test_padding_leaves_the_carry_and_gives_zeros(cell, backend):
    """Exactly, and with lengths known only to the compiled program."""
    model = Recurrent(CELLS[cell], bidirectional=True, backend=backend)
    params, x, carry = random_arguments(model)

    @jit
    def apply(x, lengths):
        return model.apply({"params": params}, x, carry, lengths=lengths, reset=RESET)

    outputs, last = apply(x, LENGTHS)
    assert not np.any(outputs[1, 3:]) and not np.any(outputs[2]) and np.all(outputs[1, :3])
    for a, b in zip(jax.tree.leaves(last), jax.tree.leaves(carry), strict=True):
        np.testing.assert_array_equal(a[2], np.float32(b[2]))
    other = np.where(np.arange(TIME)[:, None] < LENGTHS[:, None, None], x, 1e30)
    assert_close(apply(other, LENGTHS), (outputs, last), 0)


class Counter(Accumulator):
    """Its output is not zero where its carry is."""

    def output(self, weights, carry):
        return carry.h + 10


def test_padding_gives_zeros_whatever_the_cell():
    model = Recurrent(Counter(1), bidirectional=True, lookahead=2)
    outputs, _ = model.apply({}, jnp.ones((2, 5, 1)), lengths=jnp.array([4, 1]))
    np.testing.assert_array_equal(outputs[0], [[11, 13], [12, 13], [13, 12], [14, 11], [0, 0]])
    np.testing.assert_array_equal(outputs[1], [[11, 11], [0, 0], [0, 0], [0, 0], [0, 0]])


@pytest.mark.parametrize("backend, options", [("scan", {}), ("fused", {"lookahead": 2})])
def test_what_an_output_depends_on(backend, options):
    """The first half on the steps from its reset on, the second on those up to the next reset."""
    model = Recurrent(LSTM(UNITS), bidirectional=True, backend=backend, **options)
    params, x, carry = random_arguments(model)

    @jit
    @functools.partial(jax.jacobian, argnums=(0, 1))
    def jacobian(x, carry):
        return model.apply({"params": params}, x, carry, lengths=LENGTHS, reset=RESET)[0]

    of_x, of_carry = jacobian(np.float32(x), jax.tree.map(np.float32, carry))
    depends = np.stack([np.any(a != 0, (2, 5)) for a in np.split(np.asarray(of_x), 2, axis=2)])
    b, t, c, s = np.ogrid[:BATCH, :TIME, :BATCH, :TIME]
    piece = np.cumsum(RESET, axis=1)
    same = (b == c) & (piece[b, t] == piece[c, s]) & (np.maximum(s, t) < LENGTHS[b])
    ahead = (s >= t) & (s <= t + options.get("lookahead", TIME))
    np.testing.assert_array_equal(depends, [same & (s <= t), same & ahead])

    of_h = np.any(np.asarray(of_carry[0][0].h)[..., :UNITS, :, :] != 0, axis=(2, 4))
    b, t, c = np.ogrid[:BATCH, :TIME, :BATCH]
    np.testing.assert_array_equal(of_h, (b == c) & (piece[b, t] == 0) & (t < LENGTHS[b]))


@pytest.mark.parametrize("lookahead", [TIME - 1, 2 * TIME])
def test_looking_ahead_past_the_end_is_looking_at_all(lookahead):
    model = Recurrent(Elman(UNITS), bidirectional=True)
    params, x, carry = random_arguments(model)
    carry = jax.tree.map(np.zeros_like, carry)
    limited = model.clone(lookahead=lookahead)
    start = tuple((forward,) for forward, _ in carry)
    outputs, last = jit(lambda x: limited.apply({"params": params}, x, start, lengths=LENGTHS))(x)
    whole, expected = plain_recurrent.run(model, params, x, carry, LENGTHS)
    assert_close((outputs, last[0]), (whole, expected[0][:1]), 1e-5)


@pytest.mark.parametrize("cell, backend", EVERY)
def test_halves_and_steps_equal_the_whole(cell, backend):
    options = {"residual": True, "zoneout": MEAN[cell], "dropout": 0.5, "recurrent_dropout": 0.5}
    model = Recurrent(CELLS[cell], 2, backend=backend, **options)
    params, x, carry = random_arguments(model)
    expected = plain_recurrent.run(model, params, x, carry)
    apply, step = (
        jit(functools.partial(model.apply, {"params": params}, method=method))
        for method in ("__call__", "step")
    )
    first, middle = apply(x[:, :3], carry)
    second, last = apply(x[:, 3:], middle)
    assert_close((jnp.concatenate([first, second], 1), last), expected, 1e-5)
    outputs = []
    for t in range(TIME):
        carry, y = step(carry, x[:, t])
        outputs.append(y)
    assert_close((jnp.stack(outputs, 1), carry), expected, 1e-5)


def test_stages_are_the_layers_outputs():
    model = Recurrent(Elman(UNITS), 3, residual=True)
    params, x, carry = random_arguments(model)
    outputs, last, stages = model.apply({"params": params}, x, carry, stages=True)
    assert len(stages) == 3
    for i, stage in enumerate(stages):
        expected, _ = plain_recurrent.run(model.clone(layers=i + 1), params, x, carry[: i + 1])
        assert_close(stage, expected, 1e-5)
    assert_close(outputs, stages[-1], 0)


def test_initial_carry():
    model = Recurrent(Accumulator(3), 2, bidirectional=True, param_dtype=jnp.bfloat16)
    carry = model.initial_carry((BATCH, 3))
    assert [a.shape for a in jax.tree.leaves(carry)] == [(BATCH, 3)] * 2 + [(BATCH, 6)] * 2
    assert not any(np.any(a) or a.dtype != jnp.bfloat16 for a in jax.tree.leaves(carry))
    summed = model.clone(merge="sum", lookahead=1).initial_carry((BATCH, 3))
    assert [a.shape for a in jax.tree.leaves(summed)] == [(BATCH, 3)] * 2
    x = jnp.arange(BATCH * 5 * 3.0).reshape(BATCH, 5, 3)  # summed by the carry that begins at zero
    np.testing.assert_array_equal(
        Recurrent(Accumulator(3)).apply({}, x)[0], np.cumsum(x, axis=1, dtype=np.float32)
    )


def test_a_chunk_keeps_little():
    """Not even the projected inputs, of which LSTMs have four times their units."""
    x = jax.ShapeDtypeStruct((8, 4096, 1), "float32")

    def room(chunk):
        model = Recurrent(LSTM(16), chunk=chunk)
        params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((8, 1, 1))))

        def value(params, x):
            _, ((carry,),) = model.apply(params, x)
            return carry.h.sum()

        return temporary_bytes(jax.grad(value), params, x)

    assert 20 * room(64) < room(None)


@pytest.mark.parametrize("backend", ["scan", "fused", "auto"])
def test_backends(backend):
    """The fused one is a scan whose backward pass is not made by automatic differentiation."""
    model = Recurrent(Elman(UNITS), backend=backend)
    params, x, carry = random_arguments(model)
    jaxpr = str(jax.make_jaxpr(lambda x: model.apply({"params": params}, x, carry))(x))
    assert ("custom_vjp" in jaxpr) == (backend != "scan")
