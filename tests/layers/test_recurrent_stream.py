"""Streams through recurrent layers, step by step, against whole sequences of unequal length."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.elman import Elman
from nets.gru import GRU
from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_stack import RecurrentStack
from nets.layers.recurrent_stream import delay, stream_carry, stream_step
from nets.lstm import LSTM

STEPS, LENGTHS = 7, np.array([7, 4, 1])


@pytest.mark.parametrize(
    "fields",
    [
        {"cell": LSTM(4)},
        {"cell": GRU(4), "bidirectional": True, "lookahead": 0},
        {"cell": LSTM(4), "bidirectional": True, "lookahead": 2, "layers": 2},
        {"cell": Elman(4), "bidirectional": True, "lookahead": 9},  # beyond the end
    ],
)
def test_a_stream_has_the_outputs_of_the_whole(fields):
    stack = RecurrentStack(**fields)
    x = np.random.default_rng(0).normal(size=(3, STEPS, 5)).astype(np.float32)
    params = jax.jit(functools.partial(stack.init, train=False))(jax.random.key(0), x)
    whole = jax.jit(functools.partial(stack.apply, train=False))(params, x, lengths=LENGTHS)
    late = stack.delay
    step = jax.jit(lambda carry, x, valid: stack.apply(params, carry, x, valid, method="step"))
    carry, outputs = stack.initial_carry((3, 5)), []
    for t in range(STEPS + late):
        now = x[:, t] if t < STEPS else np.full((3, 5), np.nan, np.float32)
        carry, y, exists = step(carry, now, t < LENGTHS)
        np.testing.assert_array_equal(exists, (t >= late) & (t - late < LENGTHS))
        outputs.append(y)
    outputs = np.stack(outputs, 1)[:, late:]
    for b, length in enumerate(LENGTHS):
        np.testing.assert_allclose(outputs[b, :length], whole[b, :length], rtol=1e-5, atol=1e-6)


def test_what_needs_the_end_is_refused():
    for fields in ({"bidirectional": True}, {"reverse": True}):
        with pytest.raises(ValueError, match="reads backwards from the end has no streaming form"):
            delay(Recurrent(LSTM(4), **fields))
    layer = Recurrent(LSTM(4), layers=2, bidirectional=True, lookahead=1)
    with pytest.raises(ValueError, match="layers must be 1 to stream with lookahead, got 2"):
        x, valid = jnp.zeros((1, 3)), jnp.ones(1, bool)
        stream_step(layer, stream_carry(layer, (1, 3)), x, valid)
