"""The LSTMN against its equations row by row, as a language model step by step, and its span."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.recurrent import Recurrent
from nets.lstmn import LSTMN
from nets.recurrent_lm import RecurrentLM
from tests.support.checks import assert_close, jit

D, H, A, SPAN = 3, 4, 5, 3
LAYER = Recurrent(LSTMN(H, span=SPAN, hidden=A))
X = np.float32(np.random.default_rng(0).normal(size=(2, 6, D)))


def random_weights(layer=LAYER, x=X):
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape)), shapes)


def plain(params, x, span=SPAN):
    """Outputs [T, H] and attention of one row [T, D], by equations 3 to 9 of the paper."""
    w = {name: np.float64(a) for name, a in params["params"]["layer_0"].items()}

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    hidden, memory, attention, summary = [], [], [], np.zeros(H)
    for x_t in x:
        earlier = range(max(0, len(hidden) - span), len(hidden))
        scores = np.array(
            [
                w["score"]
                @ np.tanh(
                    hidden[i] @ w["key_kernel"]
                    + x_t @ w["query_kernel"]
                    + summary @ w["summary_kernel"]
                )
                for i in earlier
            ]
        )
        s = np.exp(scores) / np.exp(scores).sum() if len(earlier) else scores
        summary = sum((s_i * hidden[i] for s_i, i in zip(s, earlier, strict=True)), np.zeros(H))
        kept = sum((s_i * memory[i] for s_i, i in zip(s, earlier, strict=True)), np.zeros(H))
        z = x_t @ w["kernel"] + summary @ w["recurrent_kernel"] + w["bias"]
        i, f, g, o = np.split(z, 4)
        memory.append(sigmoid(f) * kept + sigmoid(i) * np.tanh(g))
        hidden.append(sigmoid(o) * np.tanh(memory[-1]))
        attention.append(np.concatenate([np.zeros(span - len(s)), s, [0.0]]))
    return np.array(hidden), np.array(attention)


def test_it_is_that_of_the_paper():
    params = random_weights()
    outputs, (carry,) = jit(LAYER.apply)(params, X)
    for b in range(2):
        hidden, attention = plain(params, X[b])
        assert_close(outputs[b], hidden, 1e-4)
        assert_close(LAYER.cell.attention(carry[0])[b], attention[-1], 1e-4)
        assert_close(carry[0].hidden[b], hidden[-SPAN:], 1e-4)
    assert np.ptp(attention[-1, :-1]) > 0.01  # it prefers some step


def test_one_step_at_a_time_equals_the_whole():
    """In two layers, and where one row begins anew."""
    layer = Recurrent(LSTMN(H, span=SPAN), layers=2)
    params = random_weights(layer)
    reset = np.zeros((2, 6), bool)
    reset[1, 4] = True
    whole, last = jit(layer.apply)(params, X, reset=reset)
    step = jit(functools.partial(layer.apply, method="step"))
    carry, outputs = layer.initial_carry((2, D)), []
    for t in range(6):
        fresh = layer.initial_carry((2, D))
        carry = jax.tree.map(
            lambda a, b, t=t: jnp.where(reset[:, t].reshape(2, *[1] * (a.ndim - 1)), b, a),
            carry,
            fresh,
        )
        carry, y = step(params, carry, X[:, t])
        outputs.append(y)
    assert_close(np.stack(outputs, 1), whole, 1e-5)
    assert_close(carry, last, 1e-5)


def test_it_keeps_long_memories_in_bfloat16():
    """c grows by 0.005 a step: from 1 on, less than half a digit of bfloat16."""
    layer = Recurrent(LSTMN(1, span=1), dtype=jnp.bfloat16)
    x = jnp.ones((1, 1000, 1), jnp.bfloat16)
    params = jax.tree.map(jnp.zeros_like, jit(layer.init)(jax.random.key(0), x))
    params["params"]["layer_0"]["bias"] = jnp.array([50.0, 50, np.arctanh(0.005), 0])  # i f g o
    _, ((carry,),) = jit(layer.apply)(params, x)
    np.testing.assert_allclose(carry.memory, 5, rtol=0.02)


def test_a_step_further_back_than_the_span_reaches_it_through_others_alone():
    """With W_s, R and W zero but for the cell state, the tapes are all that is passed on."""
    params = random_weights()
    weights = params["params"]["layer_0"]
    weights["kernel"][:] = np.eye(D, 4 * H, 2 * H)  # g alone reads the input
    for name in ("recurrent_kernel", "summary_kernel", "bias"):
        weights[name][:] = 0
    weights["bias"][H : 2 * H] = -50  # f: c is not passed on from step to step

    def last(x):
        _, (carry,) = LAYER.apply(params, x)
        return carry[0].summary.sum()

    slopes = np.abs(jit(jax.grad(last))(X)).sum((0, 2))
    np.testing.assert_array_equal(slopes[:5] > 0, [False, False, True, True, True])


def test_counts_and_initial_weights():
    layer = Recurrent(LSTMN(64, hidden=16))
    weights = jax.jit(layer.init)(jax.random.key(0), np.zeros((1, 1, 32)))["params"]["layer_0"]
    size = sum(a.size for a in weights.values())
    assert size == 4 * 64 * (32 + 64 + 1) + 32 * 16 + 2 * 64 * 16 + 16
    assert np.abs(weights["score"]).max() <= 16**-0.5 and np.std(weights["score"]) > 0.1
    np.testing.assert_array_equal(weights["bias"], np.repeat([0.0, 1.0, 0.0, 0.0], 64))
    gate = weights["recurrent_kernel"][:, 64:128]
    assert_close(gate.T @ gate, np.eye(64), 1e-5)


def test_a_language_model_tells_what_it_attends_to():
    model = RecurrentLM(5, LSTMN(H, span=SPAN), embed=3, layers=1)
    ids = np.array([[1, 4, 2, 0], [3, 3, 1, 2]])
    params = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), ids)
    whole, _ = jit(functools.partial(model.apply, train=False))(params, ids)
    memory, carry = model.apply(params, ids[:, :0], method="start")
    step = jit(functools.partial(model.apply, method="step"))
    seen = []
    for t in range(4):
        carry, logits, weights = step(params, memory, carry, ids[:, t])
        assert_close(logits, whole[:, t], 1e-5)
        seen.append(np.asarray(weights) > 0)
    expected = [[*(np.arange(SPAN) >= SPAN - t), False] for t in range(4)]
    np.testing.assert_array_equal(seen, np.repeat(np.array(expected)[:, None], 2, 1))


@pytest.mark.parametrize("field", ["span", "hidden"])
def test_a_size_below_one_is_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        Recurrent(LSTMN(4, **{field: 0})).init(jax.random.key(0), np.zeros((1, 2, 3)))
