"""Error messages of recurrent layers for invalid fields and arguments."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.conv_lstm import ConvLSTM
from nets.elman import Elman
from nets.gru import GRU
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM
from nets.luong import Luong
from nets.recurrent_lm import RecurrentLM
from nets.seq2seq import Bahdanau
from nets.sequence import ManyToMany
from tests.support.accumulator import Accumulator

BATCH, TIME, INPUTS, UNITS = 5, 6, 3, 2
X = jnp.zeros((BATCH, TIME, INPUTS))


def init(model, method="__call__", *arguments, **options):
    call = functools.partial(model.init, method=method, **options)
    return jax.eval_shape(call, jax.random.key(0), *arguments)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Recurrent(Elman(2), layers=0), "^layers must be at least 1, got 0"),
        (Recurrent(Elman(2), lookahead=2), "lookahead needs bidirectional=True, got lookahead=2"),
        (
            Recurrent(Elman(2), lookahead=-1, bidirectional=True),
            "^lookahead must be at least 0, got -1",
        ),
        (
            Recurrent(Elman(2), reverse=True, bidirectional=True),
            "reverse needs bidirectional=False, got both True",
        ),
        (Recurrent(Elman(2), chunk=0), "^chunk must be at least 1, got 0"),
        (
            Recurrent(Elman(2), merge="mean"),
            "merge must be one of concat, sum, average, none, got 'mean'",
        ),
        (
            Recurrent(Elman(2), bidirectional=True, layers=2, merge="none"),
            "merge='none' needs layers=1, got layers=2",
        ),
        (
            Recurrent(Elman(2), backend="fuse"),
            "backend must be one of auto, scan, fused, cudnn, got 'fuse'",
        ),
        (
            Recurrent(Accumulator(INPUTS), backend="fused"),
            "'fused' does not support this layer: a step of Accumulator",
        ),
        (Recurrent(Elman(2), dropout=1.0), r"^dropout must be in \[0, 1\), got 1.0"),
        (
            Recurrent(Elman(2), recurrent_dropout=-0.1),
            r"^recurrent_dropout must be in .*, got -0.1",
        ),
        (Recurrent(Elman(2), dropout=float("nan")), "dropout must be in .*, got nan"),
        (Recurrent(LSTM(2), zoneout=(0.1, 3.0)), "zoneout must be in .*, got 3.0"),
        (Recurrent(LSTM(2), zoneout=(-1.0, 0.1)), "zoneout must be in .*, got -1.0"),
        (
            Recurrent(LSTM(2), zoneout=(0.1,)),
            r"zoneout must have .* of LSTM, c, h, got \(0.1,\)",
        ),
        (Recurrent(GRU(2, reset="befor")), "^GRU.reset must be one of after, before, got 'befor'"),
        (
            Recurrent(GRU(2, update_gate="kep")),
            "^GRU.update_gate must be one of keep, replace, got 'kep'",
        ),
    ],
)
def test_fields(model, message):
    with pytest.raises(ValueError, match=message):
        init(model, "__call__", X)


@pytest.mark.parametrize(
    ("cell", "description"),
    [
        (64, r"64; write LSTM\(64\)"),
        (LSTM, r"the class LSTM; write LSTM\(64\)"),
        (nn.LSTMCell, "the class LSTMCell"),
        (nn.LSTMCell(64), "an object of type LSTMCell"),
        (functools.partial(LSTM, 64), "an object of type partial"),
    ],
)
def test_objects_that_are_not_cells(cell, description):
    message = rf"(?m)^cell must be a recurrent cell such as LSTM\(64\), got {description}$"
    with pytest.raises(TypeError, match=message):
        Recurrent(cell)
    ids = jnp.zeros((2, 3), int)
    with pytest.raises(TypeError, match=message):
        init(ManyToMany(5, cell), "__call__", X, train=False)
    with pytest.raises(TypeError, match=message):
        init(RecurrentLM(5, cell), "__call__", ids, train=False)
    for model in (Luong(5, 5, cell), Bahdanau(5, 5, cell)):
        with pytest.raises(TypeError, match=message):
            init(model, "__call__", ids, ids, train=False)


@pytest.mark.parametrize(
    ("cell", "shape", "axes"),
    [
        (GRU(UNITS), (BATCH, TIME), "B, T, D"),
        (GRU(UNITS), (TIME,), "B, T, D"),
        (GRU(UNITS), (BATCH, TIME, 4, INPUTS), "B, T, D"),
        (ConvLSTM(UNITS), (BATCH, TIME, INPUTS), "B, T, H, W, C"),
    ],
)
def test_inputs_of_other_axes(cell, shape, axes):
    axis_sizes = ", ".join(map(str, shape))
    with pytest.raises(
        ValueError, match=rf"(?m)^x must be \[{axes}\], got float32 of .* \[{axis_sizes}\]$"
    ):
        init(Recurrent(cell), "__call__", jnp.zeros(shape))


def test_inputs_of_a_step():
    model = Recurrent(GRU(UNITS))
    carry = model.initial_carry((BATCH, INPUTS))
    with pytest.raises(
        ValueError, match=r"(?m)^x must be \[B, D\], got float32 of shape \[5, 6, 3\]$"
    ):
        init(model, "step", carry, X)
    with pytest.raises(ValueError, match=r"(?m)^x must be \[B, D\], got float32 of shape \[3\]$"):
        init(model, "step", carry, X[0, 0])
    with pytest.raises(TypeError, match=r"(?m)^x must be an array \[B, D\], got .* of type tuple$"):
        init(model, "step", X[:, 0], carry)  # in the other order
    with pytest.raises(ValueError, match=r"^x must be \[B, H, W, C\], got"):
        images = Recurrent(ConvLSTM(UNITS))
        init(images, "step", images.initial_carry((BATCH, 4, 4, 1)), jnp.zeros((4, 4, 1)))


def test_no_stream_in_both_directions():
    both = Recurrent(Elman(UNITS), bidirectional=True)
    behind = Recurrent(Elman(UNITS), reverse=True)
    for model, kind in ((both, "bidirectional"), (behind, "reversed")):
        with pytest.raises(ValueError, match=f"{kind} layer has no streaming form"):
            init(model, "step", model.initial_carry((BATCH, INPUTS)), X[:, 0])


def test_lengths():
    model = Recurrent(GRU(UNITS))
    for lengths, wrong in (([6, 7, 0, 1, 8], "7"), ([6, -2, 0, 1, 6], "-2")):
        with pytest.raises(ValueError, match=f"lengths must be from 0 to 6, .* got {wrong}"):
            model.init(jax.random.key(0), X, lengths=jnp.array(lengths))
    for kind in ("float32", "bool"):
        with pytest.raises(ValueError, match=f"lengths must be integers, got {kind}"):
            init(model, "__call__", X, lengths=np.ones(BATCH, kind))


@pytest.mark.parametrize("shape", [(1,), (BATCH + 1,), (), (BATCH, 1), (BATCH, TIME)])
def test_lengths_of_another_shape(shape):
    message = rf"(?m)^lengths must be \[B\] = \[5\], got shape {re.escape(str(list(shape)))}$"
    with pytest.raises(ValueError, match=message):
        init(Recurrent(GRU(UNITS)), "__call__", X, lengths=jnp.ones(shape, int))


@pytest.mark.parametrize("shape", [(1,), (TIME,), (1, TIME), (BATCH, TIME, 1)])
def test_reset_of_another_shape(shape):
    sizes = re.escape(str(list(shape)))
    message = rf"(?m)^reset must be \[B\] = \[5\] or \[B, T\] = \[5, 6\], got shape {sizes}$"
    with pytest.raises(ValueError, match=message):
        init(Recurrent(GRU(UNITS)), "__call__", X, reset=jnp.ones(shape, bool))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 1}, "carry must have 2 layers of 1 directions, got 1 layers of 1 directions"),
        (
            {"layers": 3},
            "carry must have 2 layers of 1 directions, got 3 layers of 1, 1, 1 directions",
        ),
        (
            {"layers": 2, "bidirectional": True},
            "carry must have 2 layers of 1 directions, got 2 layers of 2, 2 directions",
        ),
    ],
)
def test_a_carry_of_another_depth(options, message):
    carry = Recurrent(Elman(UNITS), **options).initial_carry((BATCH, INPUTS))
    with pytest.raises(ValueError, match=message):
        init(Recurrent(Elman(UNITS), layers=2), "__call__", X, carry)


@pytest.mark.parametrize("field", ["dropout", "embed_dropout", "recurrent_dropout"])
def test_dropouts_of_a_language_model(field):
    with pytest.raises(ValueError, match=rf"{field} must be in \[0, 1\), got 1.5"):
        init(
            RecurrentLM(5, GRU(4), **{field: 1.5}), "__call__", jnp.zeros((2, 3), int), train=False
        )
