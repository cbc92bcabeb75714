import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nets.elman import Elman
from nets.gru import GRU, MGU
from nets.layers.decoding import generate
from nets.lstm import LSTM, LSTMCarry
from nets.recurrent_lm import RecurrentLM

VOCABULARY, EMBED, UNITS = 5, 3, 4
MODEL = RecurrentLM(VOCABULARY, LSTM(UNITS), embed=EMBED, layers=2)


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
    assert count(RecurrentLM(65, LSTM(128), embed=64)) == by_hand == 242945
    # char-rnn's 240,321 has one-hot inputs instead of an embedding and a second bias each
    embedding, second_biases = 65 * 65, 2 * 4 * 128
    same_net = 240321 + embedding - second_biases
    assert count(RecurrentLM(65, LSTM(128), embed=65)) == same_net


def test_carry_and_reset():
    params, ids = random_params(), some_text()
    whole, last = apply(params, ids)
    first, middle = apply(params, ids[:, :3], MODEL.initial_carry((2,)))
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
    with pytest.raises(
        ValueError, match="must have 2 layers of 1 directions, got 1 layers of 1 directions"
    ):
        apply(random_params(), some_text(), MODEL.initial_carry((2,))[:1])


def test_carry_has_no_buffer_twice():
    carry = MODEL.initial_carry((3,))
    assert [a.shape for a in jax.tree.leaves(carry)] == 4 * [(3, UNITS)]
    jax.jit(lambda carry: jax.tree.map(lambda a: a + 1, carry), donate_argnums=0)(carry)


def test_dropout_spares_the_recurrent_edges():
    model = RecurrentLM(VOCABULARY, LSTM(16), embed=16, dropout=0.5)
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


def test_tied_output_is_the_embedding():
    model = RecurrentLM(VOCABULARY, LSTM(EMBED), embed=EMBED, layers=1, tie=True)
    params, ids = random_params(model), some_text()
    assert set(params) == {"embedding", "recurrent", "output_bias"}
    logits, _, stages = apply(params, ids, model=model, stages=True)
    table = params["embedding"]["embedding"]
    expected = np.einsum("bth,vh->btv", stages["layer_0"], table) + params["output_bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)

    wide = RecurrentLM(1000, LSTM(64), embed=64, layers=1, tie=True)
    begun = jax.jit(functools.partial(wide.init, train=False))(jax.random.key(0), ids)
    table = begun["params"]["embedding"]["embedding"]
    assert np.std(table) == pytest.approx(64**-0.5, rel=0.02)


def test_tied_sizes_that_differ_are_named():
    for cell, size in (LSTM(16), 16), (LSTM(8, projection=5), 5):
        model = RecurrentLM(VOCABULARY, cell, embed=8, tie=True)
        with pytest.raises(ValueError, match=f"size with tie=True, {size}, got 8"):
            jax.eval_shape(lambda m=model: m.init(jax.random.key(0), some_text(), train=False))


def linear(vocab_size=60, features=60, **fields):
    """A model that hands ones through: h_t = h_{t-1} R + x_t, where R is zero as yet."""
    model = RecurrentLM(
        vocab_size, Elman(features, activation=lambda x: x), embed=features, **fields
    )
    params = jax.tree.map(np.zeros_like, random_params(model))
    params["embedding"]["embedding"][:] = 1
    for layer in params["recurrent"].values():
        layer["kernel"][:] = np.eye(features)
    params["output"]["kernel"][:] = np.eye(features, vocab_size)
    return model, params


def trained(model, params, ids, carry=None, key=0):
    """Logits and stages of a call while training."""
    noise = {"dropout": jax.random.key(key)}
    logits, _, stages = apply(params, ids, carry, model=model, train=True, stages=True, rngs=noise)
    return np.asarray(logits), {name: np.asarray(h) for name, h in stages.items()}


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_has_one_mask_for_all_steps_if_variational(variational):
    model, params = linear(dropout=0.4, variational=variational)
    logits, stages = trained(model, params, np.zeros((40, 3), int))
    given = np.ones_like(logits)
    for found in (stages["layer_0"], stages["layer_1"], logits):
        kept = found > 0
        np.testing.assert_allclose(found[kept], given[kept] / 0.6, rtol=1e-5)
        assert kept[given > 0].mean() == pytest.approx(0.6, abs=0.05)
        differs = (kept[:, 0] != kept[:, 1])[(given[:, 0] > 0) & (given[:, 1] > 0)]
        assert differs.mean() == pytest.approx(0 if variational else 2 * 0.6 * 0.4, abs=0.05)
        alike = (kept[0, 0] == kept[1, 0])[(given[0, 0] > 0) & (given[1, 0] > 0)]
        assert not alike.all()  # rows have masks of their own
        given = found


def test_embed_dropout_drops_characters_everywhere():
    model, params = linear(2000, 3, layers=1, embed_dropout=0.3)
    ids = np.random.default_rng(0).integers(0, 2000, (50, 100))
    seen = trained(model, params, ids)[1]["layer_0"]
    values = np.full(2000, np.nan)
    values[ids.ravel()] = seen[..., 0].ravel()  # the last of the character's
    np.testing.assert_array_equal(seen, np.broadcast_to(values[ids][..., None], seen.shape))
    kept = values[np.unique(ids)] > 0
    np.testing.assert_allclose(values[np.unique(ids)], kept / 0.7, rtol=1e-5)
    assert kept.mean() == pytest.approx(0.7, abs=0.05)
    assert np.any(seen != trained(model, params, ids, key=1)[1]["layer_0"])
    _, _, quiet = apply(params, ids, model=model, stages=True)
    assert np.all(quiet["layer_0"] == 1)


def test_recurrent_dropout_drops_weights_once_a_call():
    model, params = linear(2, 400, layers=1, recurrent_dropout=0.2)
    params["embedding"]["embedding"][:] = 0
    params["recurrent"]["layer_0"]["recurrent_kernel"][:] = np.eye(400)
    carry = jax.tree.map(np.ones_like, model.initial_carry((3,)))
    seen = trained(model, params, np.zeros((3, 4), int), carry)[1]["layer_0"]
    kept = seen[0, 0] > 0
    expected = [kept * 0.8**-t for t in (1, 2, 3, 4)]
    np.testing.assert_allclose(seen, np.broadcast_to(expected, seen.shape), rtol=1e-5)
    assert kept.mean() == pytest.approx(0.8, abs=0.08)


def test_zoneout_is_of_each_entry_of_the_carry():
    model = RecurrentLM(VOCABULARY, LSTM(3), embed=3, layers=1, zoneout=(0.25, 0.5))
    params = jax.tree.map(np.zeros_like, random_params(model))
    carry = jax.tree.map(np.ones_like, model.initial_carry((1,)))
    _, ((after,),) = apply(params, np.zeros((1, 1), int), carry, model=model)
    # all gates are 1/2 and g is 0: c = 1/2 and h = tanh(c) / 2, without zoneout
    np.testing.assert_allclose(after.c, np.full((1, 3), 0.25 + 0.75 * 0.5), rtol=1e-5)
    np.testing.assert_allclose(after.h, np.full((1, 3), 0.5 + 0.25 * np.tanh(0.5)), rtol=1e-5)


@pytest.mark.parametrize(
    "cell", [LSTM(4), GRU(4), MGU(4), Elman(4)], ids=lambda c: type(c).__name__
)
def test_generate_takes_the_likeliest(cell):
    model = MODEL.clone(cell=cell)
    params, prompt = random_params(model), some_text(1, 4)
    draw = jax.jit(generate, static_argnums=(0, 4))
    (got,) = draw(model, {"params": params}, jax.random.key(0), prompt, 6, 0)
    assert got.shape == (6,) and got.dtype == jnp.int32
    text = np.concatenate([prompt[0], got])
    logits, _ = apply(params, text[None], model=model)  # at once: no character is fed back
    np.testing.assert_array_equal(np.argmax(logits[0, 3:-1], -1), got)


@pytest.mark.parametrize("temperature, top_k", [(1.0, None), (0.4, None), (1.5, 2)])
def test_generate_draws_from_the_model(temperature, top_k):
    params, prompt, draws = random_params(scale=0.7), some_text(1, 3), 20000

    # every first character, then the distribution of the first and of the second
    texts = np.stack([[*prompt[0], i] for i in range(VOCABULARY)])
    logits, _ = apply(params, texts)
    logits = np.asarray(logits[:, -2:])
    least = np.sort(logits)[..., [-(top_k or VOCABULARY)]]
    both = np.exp(logits / temperature) * (logits >= least)
    both /= both.sum(-1, keepdims=True)
    expected = both[0, 0][:, None] * both[:, 1]
    draw = jax.jit(
        functools.partial(generate, MODEL, length=2, top_k=top_k)
    )  # temperature is traced
    keys = jax.random.split(jax.random.key(0), draws)
    variables = {"params": params}
    pairs = jax.vmap(lambda key: draw(variables, key, prompt, temperature=temperature)[0])(keys)
    counts = np.zeros_like(expected)
    np.add.at(counts, tuple(np.asarray(pairs).T), 1)
    error = np.abs(counts / draws - expected)
    assert np.all(error < 5 * np.sqrt(expected / draws) + 1e-4)
    again = draw(variables, keys[0], prompt, temperature=temperature)
    np.testing.assert_array_equal(again, pairs[:1])
    several = draw(variables, keys[0], np.repeat(prompt, 2000, 0), temperature=temperature)
    first = np.bincount(several[:, 0], minlength=VOCABULARY) / 2000
    assert np.abs(first - expected.sum(1)).max() < 0.06  # every row draws for itself


def test_hello():
    """Karpathy 2015's first example: after "l" comes "l" once, then "o"."""
    text = "hello"
    vocabulary = sorted(set(text))
    ids = np.array([[vocabulary.index(c) for c in text]])
    model = RecurrentLM(len(vocabulary), Elman(16), embed=4, layers=1)
    optimizer = optax.adam(0.05)

    def loss(params):
        logits, _ = model.apply({"params": params}, ids[:, :-1], train=True)
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

    @jax.jit
    def written(key):
        def step(_, state):
            params, moments = state
            updates, moments = optimizer.update(jax.grad(loss)(params), moments)
            return optax.apply_updates(params, updates), moments

        params = model.init(key, ids, train=False)["params"]
        params, _ = jax.lax.fori_loop(0, 100, step, (params, optimizer.init(params)))
        return generate(model, {"params": params}, key, ids[:, :1], 4, 0.5)[0]

    assert "".join(vocabulary[i] for i in written(jax.random.key(0))) == "ello"
