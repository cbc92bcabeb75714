import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.char_lm import CharLM, generate
from nets.lstm import LSTM, LSTMCarry

VOCABULARY, EMBED, UNITS = 5, 3, 4
MODEL = CharLM(VOCABULARY, LSTM(UNITS), embed=EMBED, layers=2)


def numpy_lstm(params, x, c, h):
    """Gate by gate, row by row: outputs [B, T, H] and the last c and h."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    units = h.shape[1]
    c, h, outputs = np.array(c), np.array(h), np.zeros((*x.shape[:2], units))
    w, r, b = params["kernel"], params["recurrent_kernel"], params["bias"]
    for row, step in np.ndindex(x.shape[:2]):
        i, f, g, o = (
            x[row, step] @ w[:, gate : gate + units]
            + h[row] @ r[:, gate : gate + units]
            + b[gate : gate + units]
            for gate in range(0, 4 * units, units)
        )
        c[row] = sigmoid(f) * c[row] + sigmoid(i) * np.tanh(g)
        h[row] = sigmoid(o) * np.tanh(c[row])
        outputs[row, step] = h[row]
    return outputs, c, h


def random_params(model=MODEL, scale=1.0):
    ids = jnp.zeros((1, 1), int)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), ids, train=False))["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: rng.normal(size=a.shape) * scale, shapes)


def some_text(rows=2, length=7):
    return np.random.default_rng(1).integers(0, VOCABULARY, (rows, length))


@functools.partial(jax.jit, static_argnames=("model", "train", "stages"))
def apply(params, *args, model=MODEL, train=False, **kwargs):
    return model.apply({"params": params}, *args, train=train, **kwargs)


def test_equals_numpy():
    params, ids = random_params(), some_text()
    carry = [(np.full((2, UNITS), 0.3 * i), np.full((2, UNITS), 0.1 * i)) for i in (1, 2)]
    before = tuple((LSTMCarry(*given),) for given in carry)
    logits, after, stages = apply(params, ids, before, stages=True)
    x = params["embedding"]["embedding"][ids]
    for i, (c, h) in enumerate(carry):
        x, c, h = numpy_lstm(params["recurrent"][f"layer_{i}"], x, c, h)
        np.testing.assert_allclose(stages[f"layer_{i}"], x, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(after[i][0].c, c, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(after[i][0].h, h, rtol=1e-4, atol=1e-5)
    expected = x @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert logits.dtype == jnp.float32


def test_parameters():
    def count(model):
        ids = jnp.zeros((1, 1), int)
        shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), ids, train=False))
        return sum(a.size for a in jax.tree.leaves(shapes))

    # embedding, two LSTMs of four gates, softmax layer
    first, second = 4 * 128 * (64 + 128 + 1), 4 * 128 * (128 + 128 + 1)
    by_hand = 65 * 64 + first + second + 128 * 65 + 65
    assert count(CharLM(65, LSTM(128), embed=64)) == by_hand == 242945
    # char-rnn's 240,321 has one-hot inputs instead of an embedding and a second bias each
    embedding, second_biases = 65 * 65, 2 * 4 * 128
    same_net = 240321 + embedding - second_biases
    assert count(CharLM(65, LSTM(128), embed=65)) == same_net


def test_carry_and_reset():
    params, ids = random_params(), some_text()
    whole, last = apply(params, ids)
    first, middle = apply(params, ids[:, :3], MODEL.initial_carry(2))
    second, end = apply(params, ids[:, 3:], middle, np.array([False, False]))
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, rtol=1e-5, atol=1e-5)
    for a, b in zip(jax.tree.leaves(end), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    reset, _ = apply(params, ids[:, 3:], middle, np.array([True, False]))
    fresh, _ = apply(params, ids[:1, 3:])
    np.testing.assert_allclose(reset[0], fresh[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(reset[1], second[1], rtol=1e-5, atol=1e-5)
    assert not np.allclose(reset[0], second[0])


def test_carry_of_another_depth_is_refused():
    with pytest.raises(ValueError):
        apply(random_params(), some_text(), MODEL.initial_carry(2)[:1])


def test_carry_has_no_buffer_twice():
    carry = MODEL.initial_carry(3)
    assert [a.shape for a in jax.tree.leaves(carry)] == 4 * [(3, UNITS)]
    jax.jit(lambda carry: jax.tree.map(lambda a: a + 1, carry), donate_argnums=0)(carry)


def test_dropout_spares_the_recurrent_edges():
    model = CharLM(VOCABULARY, LSTM(16), embed=16, dropout=0.5)
    params, ids = random_params(model, 0.5), some_text()
    noise = {"dropout": jax.random.key(0)}

    def both(params):
        quiet = apply(params, ids, model=model, stages=True)
        return quiet, apply(params, ids, model=model, stages=True, train=True, rngs=noise)

    quiet, noisy = both(params)
    assert not np.allclose(quiet[2]["layer_0"], noisy[2]["layer_0"])  # what enters the first LSTM
    # Without input the first LSTM runs on its recurrent edges alone.
    params["embedding"]["embedding"] *= 0
    quiet, noisy = both(params)
    np.testing.assert_array_equal(quiet[2]["layer_0"], noisy[2]["layer_0"])
    assert np.any(quiet[2]["layer_0"])
    assert not np.allclose(quiet[2]["layer_1"], noisy[2]["layer_1"])  # between the two
    # The second LSTM on its recurrent edges alone: what is left is before the output layer.
    params["recurrent"]["layer_1"]["kernel"] *= 0
    quiet, noisy = both(params)
    np.testing.assert_array_equal(quiet[2]["layer_1"], noisy[2]["layer_1"])
    assert not np.allclose(quiet[0], noisy[0])


def test_generate_takes_the_likeliest():
    params, prompt = random_params(), some_text(1, 4)
    got = jax.jit(generate, static_argnums=(0, 4))(MODEL, params, jax.random.key(0), prompt, 6, 0)
    assert got.shape == (6,) and got.dtype == jnp.int32
    text = np.concatenate([prompt[0], got])
    logits, _ = apply(params, text[None])  # at once: no character is fed back
    np.testing.assert_array_equal(np.argmax(logits[0, 3:-1], -1), got)


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_generate_draws_from_the_model(temperature):
    params, prompt, draws = random_params(scale=0.7), some_text(1, 3), 20000

    # every first character, then the distribution of the first and of the second
    texts = np.stack([[*prompt[0], i] for i in range(VOCABULARY)])
    logits, _ = apply(params, texts)
    both = np.asarray(jax.nn.softmax(logits[:, -2:] / temperature))
    expected = both[0, 0][:, None] * both[:, 1]
    draw = jax.jit(functools.partial(generate, MODEL, length=2))  # temperature is traced
    keys = jax.random.split(jax.random.key(0), draws)
    pairs = jax.vmap(lambda key: draw(params, key, prompt, temperature=temperature))(keys)
    counts = np.zeros_like(expected)
    np.add.at(counts, tuple(np.asarray(pairs).T), 1)
    error = np.abs(counts / draws - expected)
    assert np.all(error < 5 * np.sqrt(expected / draws) + 1e-4)
    np.testing.assert_array_equal(draw(params, keys[0], prompt, temperature=temperature), pairs[0])
