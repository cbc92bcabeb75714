"""RNNsearch and Luong's attention against plain loops in numpy, row by row and step by step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.gru import GRU
from nets.layers.decoding import decode
from nets.lstm import LSTM
from nets.luong import Luong
from nets.seq2seq import Bahdanau
from tests.support.plain_recurrent import gru, lstm

RNG = np.random.default_rng(0)
X = np.array([[1, 2, 3, 1, 4], [3, 2, 0, 1, 2], [4, 0, 0, 0, 0]])  # read up to the first 0
Y = np.array([[1, 2, 4, 0], [3, 3, 0, 0], [5, 1, 2, 3]])
SIZES = {"num_classes": 6, "vocab_size": 5, "embedding": 3}
SMALL = {"cell": GRU(4), "hidden": 5, "readout": 2}


def made(model, x=X, y=Y):
    """Weights at random, all of them."""
    init = functools.partial(model.init, train=False)
    params = jax.eval_shape(init, jax.random.key(0), x, y)["params"]
    return jax.tree.map(lambda a: RNG.normal(size=a.shape) * 0.7, params)


def applied(model, params, *inputs, **options):
    with jax.enable_x64(True):
        model = model.clone(dtype=jnp.float64, param_dtype=jnp.float64)
        apply = jax.jit(functools.partial(model.apply, **options))
        return jax.tree.map(np.asarray, apply({"params": params}, *inputs))


def dense(layer, x):
    return x @ layer["kernel"] + layer.get("bias", 0)


def embedded(params, name, row):
    return [params[name]["embedding"][symbol] for symbol in row]


def source(row):
    return list(row[: list(row).index(0)] if 0 in row else row)


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def read(step, weights, xs, carry):
    found = []
    for x in xs:
        carry = step(weights, x, carry)
        found.append(carry[-1])
    return found, carry


def bahdanau(params, row, given, step, attention):
    """Logits [U, V] and weights [U, S] of one sentence."""
    zeros = [np.zeros(4)] * (1 + (step is lstm))
    xs = embedded(params, "source", source(row))
    forward, last = read(step, params["encoder"]["layer_0"], xs, zeros)
    backward, first = read(step, params["encoder"]["layer_0_reverse"], xs[::-1], zeros)
    memory = [np.concatenate(pair) for pair in zip(forward, backward[::-1], strict=True)]
    carry = [*zeros[1:], np.tanh(dense(params["initial"], first[-1]))]
    logits, looked = [], np.zeros((len(given), len(row)))
    for t, symbol in enumerate([0, *given[:-1]]):
        y = params["target"]["embedding"][symbol]
        if attention:
            score = params["attend"]["score"]
            q = dense(score["query"], carry[-1])
            e = [score["v"][:, 0] @ np.tanh(q + dense(score["key"], m)) for m in memory]
            looked[t, : len(memory)] = a = softmax(np.array(e))
            context = sum(w * m for w, m in zip(a, memory, strict=True))
        else:
            context = np.concatenate([last[-1], first[-1]])
        carry = step(params["decoder"], np.concatenate([y, context]), carry)
        z = (
            dense(params["state_out"], carry[-1])
            + dense(params["symbol_out"], y)
            + dense(params["context_out"], context)
        )
        logits.append(dense(params["output"], [max(z[0], z[1]), max(z[2], z[3])]))
    return np.array(logits), looked


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize(("cell", "step"), [(GRU(4), gru), (LSTM(4), lstm)], ids=["gru", "lstm"])
def test_rnnsearch_equals_numpy(cell, step, attention):
    model = Bahdanau(**SIZES, **SMALL | {"cell": cell}, attention=attention)
    params = made(model)
    logits, stages = applied(model, params, X, Y, train=False, stages=True)
    for b in range(len(X)):
        expected, looked = bahdanau(params, X[b], Y[b], step, attention)
        np.testing.assert_allclose(logits[b], expected, rtol=1e-9)
        if attention:
            np.testing.assert_allclose(stages["weights"][b], looked, rtol=1e-9)
    assert stages["weights"].shape == (3, 4, 5 if attention else 0)
    assert stages["encoder"].shape == (3, 5 if attention else 1, 8)


def luong_score(model, params, h, m):
    if "dot" in model.score:
        return h @ m / (2 if model.score == "scaled_dot" else 1)
    weights = params["attend"]["score"]
    if model.score == "general":
        return h @ dense(weights["key"], m)
    return weights["v"][:, 0] @ np.tanh(dense(weights["query"], h) + dense(weights["key"], m))


def luong(model, params, row, given):
    """Logits [U, V] and weights [U, S] of one sentence, by an LSTM."""
    zeros = [np.zeros(4)] * 2
    memory, carry = read(
        lstm, params["encoder"]["layer_0"], embedded(params, "source", source(row)), zeros
    )
    attended, logits, looked = np.zeros(4), [], np.zeros((len(given), len(row)))
    for t, symbol in enumerate([0, *given[:-1]]):
        y = params["target"]["embedding"][symbol]
        fed = np.concatenate([y, attended]) if model.input_feeding else y
        carry = lstm(params["decoder"]["layer_0"], fed, carry)
        h = carry[-1]
        e = np.array([luong_score(model, params, h, m) for m in memory])
        near, factor = np.arange(len(memory)), 1.0
        if model.attention != "global":
            if model.attention == "local-m":
                place = t
            else:
                inner = np.tanh(dense(params["attend"]["hidden"], h))
                place = len(memory) / (1 + np.exp(-dense(params["attend"]["v"], inner)[0]))
                factor = np.exp(-((near - place) ** 2) / (2 * (model.window / 2) ** 2))
            near = near[np.abs(near - place) <= model.window]
        a = np.zeros(len(memory))
        if len(near):
            a[near] = softmax(e[near])
        a = a * factor
        looked[t, : len(memory)] = a
        context = sum(w * m for w, m in zip(a, memory, strict=True))
        attended = np.tanh(dense(params["combine"], np.concatenate([context, h])))
        logits.append(dense(params["output"], attended))
    return np.array(logits), looked


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"score": "dot", "input_feeding": False},
        {"score": "scaled_dot"},
        {"score": "additive"},
        {"attention": "local-m", "window": 1},
        {"attention": "local-p", "window": 2, "input_feeding": False},
    ],
    ids=lambda f: "-".join(map(str, f.values())) or "plain",
)
def test_luong_equals_numpy(fields):
    model = Luong(**SIZES, cell=LSTM(4), **fields)
    params = made(model)
    logits, stages = applied(model, params, X, Y, train=False, stages=True)
    for b in range(len(X)):
        expected, looked = luong(model, params, X[b], Y[b])
        np.testing.assert_allclose(logits[b], expected, rtol=1e-6)
        np.testing.assert_allclose(stages["weights"][b], looked, rtol=1e-6, atol=1e-12)


MODELS = {
    "bahdanau": Bahdanau(**SIZES, **SMALL),
    "without": Bahdanau(**SIZES, **SMALL, attention=False),
    "luong": Luong(**SIZES, cell=GRU(4), layers=2),
    "at once": Luong(**SIZES, cell=GRU(4), attention="local-m", input_feeding=False),
}


@pytest.mark.parametrize("name", MODELS)
def test_step_by_step_is_all_at_once_and_beams_share_their_memory(name):
    """Two slots a row, fed with the targets of that row, and with others."""
    model = MODELS[name]
    params, other = made(model), Y[::-1]
    fed = np.stack([Y, other], 1).reshape(6, -1)
    wanted = [applied(model, params, X, y, train=False, stages=True) for y in (Y, other)]
    memory, carry = applied(model, params, X, method="start")
    carry = jax.tree.map(lambda a: np.repeat(a, 2, 0), carry)
    last = np.zeros(6, int)
    for t in range(Y.shape[1]):
        carry, logits, looked = applied(model, params, memory, carry, last, method="step")
        for slot, (expected, stages) in enumerate(wanted):
            np.testing.assert_allclose(logits[slot::2], expected[:, t], rtol=1e-9)
            np.testing.assert_allclose(looked[slot::2], stages["weights"][:, t], rtol=1e-9)
        last = fed[:, t]


@pytest.mark.parametrize("name", MODELS)
def test_no_target_is_seen_ahead_of_time_and_no_padding_at_all(name):
    model = MODELS[name]
    params = made(model)
    logits = applied(model, params, X, Y, train=False)
    other = Y.copy()
    other[:, 2] = (Y[:, 2] + 1) % 6
    changed = applied(model, params, X, other, train=False)
    np.testing.assert_array_equal(logits[:, :3], changed[:, :3])
    assert np.abs(logits[:, 3] - changed[:, 3]).max(1).all()
    longer = np.pad(X, ((0, 0), (0, 3)))
    np.testing.assert_allclose(applied(model, params, longer, Y, train=False), logits, rtol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_an_empty_source_has_a_translation_and_a_gradient(name):
    model, empty = MODELS[name], np.zeros_like(X)
    params = jax.tree.map(jnp.float32, made(model))

    def loss(params):
        return jnp.square(model.apply({"params": params}, empty, Y, train=True)).sum()

    value, grads = jax.value_and_grad(loss)(params)
    assert np.isfinite(value) and all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    written = decode(model, {"params": params}, empty, 5, beam=2)
    assert np.isfinite(written.score).all() and not np.asarray(written.weights).any()


def test_the_keys_are_projected_once_outside_the_scan():
    """The decoder's loop has matmuls of rows, and none over all of the memory's places."""
    model = Bahdanau(**SIZES, **SMALL | {"hidden": 7})
    params = made(model)
    program = jax.make_jaxpr(lambda p: model.apply({"params": p}, X, Y, train=False))(params)
    scans = [e for e in program.eqns if e.primitive.name == "scan" and e.params["length"] == 4]
    (inner,) = (str(e.params["jaxpr"]) for e in scans)
    assert "tanh" in inner  # the score is there
    kernel = "f32[8,7]"  # of the keys: from both directions to the score
    assert kernel in str(program) and kernel not in inner


def test_dropout_acts_in_training_alone():
    for model in (
        Bahdanau(**SIZES, **SMALL, dropout=0.5),
        Luong(**SIZES, cell=GRU(4), dropout=0.5),
    ):
        params = {"params": jax.tree.map(jnp.float32, made(model))}

        def logits(key, train, model=model, params=params):
            rngs = {"dropout": jax.random.key(key)}
            return model.apply(params, X, Y, train=train, rngs=rngs)

        assert (logits(0, True) != logits(1, True)).any()
        np.testing.assert_array_equal(logits(0, False), logits(1, False))


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_in_bfloat16_and_scores_in_float32(name):
    model = MODELS[name].clone(dtype=jnp.bfloat16)
    shapes = jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), X, Y, train=False, stages=True)
    )
    (logits, stages), variables = shapes
    assert logits.dtype == jnp.float32 and stages["encoder"].dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Bahdanau(**SIZES, cell=GRU(4, layer_norm=True)),
            "Bahdanau.cell.layer_norm must be False, got True",
        ),
        (
            Luong(**SIZES, score="cosine"),
            "Luong.score must be one of additive, dot, general, scaled_dot, got 'cosine'",
        ),
        (
            Luong(**SIZES, attention="far"),
            "Luong.attention must be one of global, local-m, local-p, got 'far'",
        ),
    ],
)
def test_impossible_models_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.init(jax.random.key(0), X, Y, train=False))
