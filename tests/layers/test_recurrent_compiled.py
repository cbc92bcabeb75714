"""Outside of jit, a recurrent layer is compiled at the first call and never again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.conv_lstm import ConvLSTM
from nets.elman import Elman
from nets.gru import GRU
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM
from nets.sequence import ManyToMany
from tests.support.checks import compilations

BATCH, TIME, INPUTS, UNITS = 7, 6, 3, 11  # other tests have other sizes, and compile other programs
CELLS = {
    "GRU": lambda: GRU(UNITS),
    "GRU before": lambda: GRU(UNITS, reset="before"),
    "LSTM": lambda: LSTM(UNITS),
    "Elman": lambda: Elman(UNITS),
    "ConvLSTM": lambda: ConvLSTM(2),
}
KEY = jax.random.key(0)


def drawn(cell, seed):
    shape = (BATCH, TIME, 4, 5, INPUTS) if cell == "ConvLSTM" else (BATCH, TIME, INPUTS)
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("cell", CELLS)
def test_a_step(cell):
    xs = drawn(cell, 0)
    model = Recurrent(CELLS[cell](), layers=3)
    variables = model.init(KEY, xs)
    carry = model.initial_carry((BATCH, *xs.shape[2:]))
    steps = [xs[:, t] for t in range(TIME)]
    with compilations() as first:
        carry, y = model.apply(variables, carry, steps[0], method="step")
    ys = [y]
    with compilations() as again:
        for x in steps[1:]:
            model = Recurrent(CELLS[cell](), layers=3)  # an equal one
            carry, y = model.apply(variables, carry, x, method="step")
            ys.append(y)
    assert first and not again
    outputs, last = jax.jit(model.apply)(variables, xs)
    for got, want in ((jnp.stack(ys, 1), outputs), (carry, last)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, want)


def test_layers_of_one_size_share_a_program():
    x = jnp.ones((BATCH, UNITS))
    programs = []
    for layers in (1, 4):
        model = Recurrent(GRU(UNITS, update_gate="replace"), layers)
        variables, carry = model.init(KEY, x[:, None]), model.initial_carry(x.shape)
        jax.clear_caches()
        with compilations() as events:
            model.apply(variables, carry, x, method="step")
        programs.append(len(events))
    assert programs[0] == programs[1] > 0


OPTIONS = {
    "in two directions": {"bidirectional": True},
    "that looks ahead": {"bidirectional": True, "lookahead": 2},
    "in chunks": {"chunk": 4, "backend": "scan"},
    "of noise": {"dropout": 0.1, "recurrent_dropout": 0.1, "zoneout": (0.1,)},
}


@pytest.mark.parametrize("options", OPTIONS)
def test_a_sequence(options):
    model = Recurrent(GRU(UNITS), **OPTIONS[options])
    variables = model.init(KEY, drawn("GRU", 0))
    training = {"train": True, "rngs": {"dropout": KEY}}

    def run(seed):
        rng = np.random.default_rng(seed)
        lengths = jnp.asarray(rng.integers(TIME + 1, size=BATCH))
        reset = jnp.asarray(rng.random((BATCH, TIME)) < 0.2)
        x = drawn("GRU", seed)
        return model.apply(variables, x, lengths=lengths, reset=reset, **training)[0]

    with compilations() as first:
        run(1)
    with compilations() as again:
        run(2)
        run(3)
    assert first and not again


@pytest.mark.parametrize("cell", ["GRU", "LSTM"])
def test_a_gradient(cell):
    """And it is the one of the jitted function."""
    model = ManyToMany(3, CELLS[cell]())
    variables = model.init(KEY, drawn(cell, 0), train=False)

    def loss(variables, x):
        return jnp.square(model.apply(variables, x, train=False)[0]).sum()

    with compilations() as first:
        jax.grad(loss)(variables, drawn(cell, 1))
    with compilations() as again:
        got = jax.grad(loss)(variables, drawn(cell, 2))
    assert first and not again
    want = jax.jit(jax.grad(loss))(variables, drawn(cell, 2))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), got, want)
