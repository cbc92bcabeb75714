"""Each shape against plain loops in numpy; every cell; padding, carries and dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.elman import Elman, Jordan, Trace
from nets.encoder_decoder import Seq2Seq
from nets.gru import GRU, MGU
from nets.layers.decoding import decode
from nets.lstm import LSTM
from nets.sequence import ManyToMany, ManyToOne, OneToMany

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 2)).astype(np.float32)


def drawn(params):
    """The same tree with all weights at random."""
    return jax.tree.map(lambda a: np.asarray(RNG.normal(size=a.shape) * 0.7, a.dtype), params)


def made(model, *inputs):
    return drawn(model.init(jax.random.key(0), *inputs, train=False)["params"])


def elman(layer, h, x):
    return np.tanh(x @ layer["kernel"] + h @ layer["recurrent_kernel"] + layer["bias"])


def dense(layer, h):
    return h @ layer["kernel"] + layer["bias"]


def states(layer, x):
    """h [B, T, H] of an Elman layer over x [B, T, D]."""
    h, found = np.zeros((len(x), layer["bias"].size)), []
    for t in range(x.shape[1]):
        h = elman(layer, h, x[:, t])
        found.append(h)
    return np.stack(found, 1)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("symbols", [False, True])
def test_many_to_many_and_many_to_one_equal_numpy(symbols):
    fields = {"num_classes": 4, "cell": Elman(6), "layers": 2}
    x, numbers = X, X
    if symbols:
        fields["vocab_size"], x = 3, RNG.integers(0, 3, (3, 5))
        numbers = np.eye(3)[x]
    many, one = ManyToMany(**fields), ManyToOne(**fields)
    params = made(many, x)
    weights = params["recurrent"]
    first = states(weights["layer_0"], numbers)
    h = states(weights["layer_1"], first)
    expected = dense(params["output"], h)
    answers, carry, stages = many.apply({"params": params}, x, train=False, stages=True)
    close(answers, expected)
    close(carry[1][0].h, h[:, -1])
    close(stages["layer_0"], first)
    close(stages["layer_1"], h)
    answer, stages = one.apply({"params": params}, x, train=False, stages=True)
    close(answer, expected[:, -1])
    close(stages["answers"], expected)
    lengths = np.array([1, 5, 3])
    answer = one.apply({"params": params}, x, lengths=lengths, train=False)
    close(answer, expected[np.arange(3), lengths - 1])


def test_many_to_many_goes_on_where_it_ended():
    model = ManyToMany(num_classes=4, cell=LSTM(6), layers=2)
    params = {"params": made(model, X)}
    whole, last = model.apply(params, X, train=False)
    first, carry = model.apply(params, X[:, :2], model.initial_carry((3, 2)), train=False)
    rest, carry = model.apply(params, X[:, 2:], carry, train=False)
    close(jnp.concatenate([first, rest], 1), whole)
    jax.tree.map(close, carry, last)


@pytest.mark.parametrize(
    ("options", "reach"),
    [
        ({}, 0),
        ({"bidirectional": True, "lookahead": 2}, 2),
        ({"bidirectional": True}, 5),
    ],
)
def test_many_to_many_reads_as_far_ahead_as_it_says(options, reach):
    """By gradients: the output of step t depends on inputs up to t + reach, and on no later one."""
    model = ManyToMany(num_classes=2, cell=Elman(4), **options)
    x = jax.random.normal(jax.random.key(1), (1, 6, 2))
    params = made(model, x)
    carry = model.initial_carry(x[:, 0].shape)
    jacobian = jax.jacrev(lambda x: model.apply({"params": params}, x, carry, train=False)[0])(x)
    depends = np.any(np.asarray(jacobian)[0, :, :, 0] != 0, axis=(1, 3))  # [T, T]
    t, s = np.indices((6, 6))
    np.testing.assert_array_equal(depends, s <= t + reach)


def test_the_initial_carry_of_symbols():
    """A trace is of the input, here a one-hot vector."""
    ((carry,),) = ManyToMany(num_classes=4, cell=Trace(6), vocab_size=7).initial_carry((3,))
    assert carry.s.shape == (3, 7) and not np.any(carry.s)


@pytest.mark.parametrize("symbols", [False, True])
def test_one_to_many_equals_numpy(symbols):
    fields = {"length": 4, "outputs": 3, "cell": Elman(6)}
    x = numbers = X[:, 0]
    if symbols:
        fields["vocab_size"], x = 7, np.array([6, 0, 2])
        numbers = np.eye(7)[x]
    model = OneToMany(**fields)
    params = made(model, x)
    h, y, expected = np.zeros((3, 6)), np.zeros((3, 3)), []
    for _ in range(4):
        h = elman(params["recurrent"]["layer_0"], h, np.concatenate([numbers, y], 1))
        y = dense(params["output"], h)
        expected.append(y)
    close(model.apply({"params": params}, x, train=False), np.stack(expected, 1))


def plain_seq2seq(params, x, given=None, length=None):
    """Logits [B, U, K] with the symbols before as `given`, or as it chooses itself, one by one."""
    found = []
    for b, row in enumerate(x):
        read = row[: list(row).index(0)] if 0 in row else row
        h = np.zeros((1, 6))
        for symbol in read:
            h = elman(params["encoder"]["layer_0"], h, np.eye(4)[[symbol]])
        last, logits = 0, []
        for t in range(length or given.shape[1]):
            h = elman(params["decoder"]["layer_0"], h, np.eye(5)[[last]])
            logits.append(dense(params["output"], h)[0])
            last = int(logits[-1].argmax()) if given is None else given[b, t]
        found.append(logits)
    return np.array(found)


def test_seq2seq_equals_numpy():
    model = Seq2Seq(num_classes=5, vocab_size=4, cell=Elman(6))
    x = np.array([[1, 2, 3, 1], [3, 2, 0, 0], [1, 0, 0, 0]])
    y = RNG.integers(0, 5, (3, 6))
    params = made(model, x, y)
    close(model.apply({"params": params}, x, y, train=False), plain_seq2seq(params, x, y))
    written = decode(model, {"params": params}, x, 9)
    chosen, ended = plain_seq2seq(params, x, length=9).argmax(-1), False
    for row, given in zip(chosen, written.symbols, strict=True):
        row = list(row)
        end = row.index(0) if 0 in row else 9
        ended = ended or 0 in row[:8]
        assert given.tolist() == row[:end] + [0] * (9 - end)
    assert ended  # so that something was cut off


@pytest.mark.parametrize("padding", [1, 4])
def test_seq2seq_does_not_see_padding(padding):
    model = Seq2Seq(num_classes=5, vocab_size=4, cell=GRU(6), layers=2)
    x, y = RNG.integers(1, 4, (3, 4)), RNG.integers(0, 5, (3, 6))
    params = {"params": made(model, x, y)}
    longer = np.pad(x, ((0, 0), (0, padding)))
    close(model.apply(params, longer, y, train=False), model.apply(params, x, y, train=False))


def test_teacher_forcing_shows_no_target_ahead_of_time():
    model = Seq2Seq(num_classes=5, vocab_size=4, cell=LSTM(6))
    x, y = RNG.integers(1, 4, (3, 4)), RNG.integers(0, 5, (3, 6))
    params = {"params": made(model, x, y)}
    other = y.copy()
    other[:, 3] = (y[:, 3] + 1) % 5
    a, b = (model.apply(params, x, targets, train=False) for targets in (y, other))
    np.testing.assert_array_equal(a[:, :4], b[:, :4])
    assert np.abs(a[:, 4:] - b[:, 4:]).min(axis=(1, 2)).all()


@pytest.mark.parametrize(
    "cell", [LSTM(4), GRU(4), Elman(4), MGU(4), Jordan(4), Trace(4)], ids=lambda c: type(c).__name__
)
@pytest.mark.parametrize("layers", [1, 2])
def test_every_cell_fits_every_shape_and_type(cell, layers):
    kinds = {"cell": cell, "layers": layers, "dtype": jnp.bfloat16}
    ids = np.ones((3, 5), int)
    cases = [
        (ManyToOne(num_classes=2, **kinds), (X,), (3, 2)),
        (ManyToMany(num_classes=2, **kinds), (X,), (3, 5, 2)),
        (OneToMany(length=6, outputs=2, **kinds), (X[:, 0],), (3, 6, 2)),
        (Seq2Seq(num_classes=2, vocab_size=2, **kinds), (ids, ids[:, :4]), (3, 4, 2)),
    ]
    for model, inputs, shape in cases[: 3 if isinstance(cell, Trace) else 4]:

        def both(model=model, inputs=inputs):
            return model.init_with_output(jax.random.key(0), *inputs, train=False)

        outputs, variables = jax.eval_shape(both)
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        assert outputs.shape == shape and outputs.dtype == jnp.float32
        assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (ManyToOne(num_classes=2, cell=Elman(4), dropout=0.5), (X,)),
        (ManyToMany(num_classes=2, cell=Elman(4), dropout=0.5), (X,)),
        (OneToMany(length=6, outputs=2, cell=Elman(4), dropout=0.5), (X[:, 0],)),
        (
            Seq2Seq(num_classes=2, vocab_size=2, cell=Elman(4), dropout=0.5),
            (np.ones((3, 5), int), np.ones((3, 5), int)),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_dropout_acts_in_training_alone(model, inputs):
    params = {"params": made(model, *inputs)}

    def run(train, seed):
        rngs = {"dropout": jax.random.key(seed)}
        found = model.apply(params, *inputs, train=train, rngs=rngs)
        return np.asarray(found[0] if isinstance(found, tuple) else found)

    np.testing.assert_array_equal(run(False, 0), run(False, 1))
    assert np.abs(run(True, 0) - run(True, 1)).max() > 1e-3
    assert np.abs(run(True, 0) - run(False, 0)).max() > 1e-3


def test_symbols_need_their_number():
    with pytest.raises(ValueError, match="vocab_size must be a number for symbols"):
        ManyToOne(num_classes=2).init(jax.random.key(0), np.ones((3, 5), int), train=False)


def test_a_reversed_source_is_read_from_its_last_symbol():
    model = Seq2Seq(num_classes=5, vocab_size=4, cell=GRU(6), embedding=3, layers=2)
    x = np.array([[1, 2, 3, 1], [3, 2, 0, 0], [1, 0, 0, 0]])
    flipped = np.array([[1, 3, 2, 1], [2, 3, 0, 0], [1, 0, 0, 0]])
    y = RNG.integers(0, 5, (3, 6))
    params = {"params": made(model, x, y)}
    reverse = model.clone(reverse=True)
    close(reverse.apply(params, x, y, train=False), model.apply(params, flipped, y, train=False))
    forwards = model.apply(params, x, y, train=False)
    assert np.abs(reverse.apply(params, x, y, train=False) - forwards)[:2].max() > 1e-3


def test_embedded_symbols_are_one_hot_vectors_times_the_embedding():
    model = Seq2Seq(num_classes=5, vocab_size=4, cell=GRU(6), embedding=3, reverse=True)
    x, y = RNG.integers(1, 4, (3, 4)), RNG.integers(0, 5, (3, 6))
    params = made(model, x, y)
    joined = {name: params[name] for name in ("output", "encoder", "decoder")}
    for part, table in (("encoder", "source"), ("decoder", "target")):
        layer = params[part]["layer_0"]
        kernel = params[table]["embedding"] @ layer["kernel"]
        joined[part] = {"layer_0": layer | {"kernel": kernel}}
    plain = model.clone(embedding=None)
    expected = plain.apply({"params": joined}, x, y, train=False)
    close(model.apply({"params": params}, x, y, train=False), expected)
    found = decode(model, {"params": params}, x, 7, beam=2).symbols
    np.testing.assert_array_equal(found, decode(plain, {"params": joined}, x, 7, beam=2).symbols)


def test_an_embedding_without_features_is_refused():
    ids = np.ones((2, 3), int)
    model = Seq2Seq(num_classes=5, vocab_size=4, embedding=0)
    with pytest.raises(ValueError, match="embedding must be at least 1, got 0"):
        model.init(jax.random.key(0), ids, ids, train=False)
