import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM
from tests.support.checks import equations

BATCH, TIME, INPUTS, UNITS = 3, 6, 5, 4
X = np.random.default_rng(1).normal(size=(BATCH, TIME, INPUTS))


def test_causality():
    model = Recurrent(LSTM(UNITS))
    params = model.init(jax.random.key(0), X)
    jacobian = jax.jit(jax.jacrev(lambda x: model.apply(params, x)[0]))(X.astype(np.float32))
    depends = np.any(np.asarray(jacobian) != 0, axis=(2, 5))  # [B, T, B, T]
    expected = np.einsum("ab,st->asbt", np.eye(BATCH), np.tri(TIME)) > 0
    np.testing.assert_array_equal(depends, expected)


def test_initial_parameters():
    x = jnp.zeros((1, 1, INPUTS))
    params = jax.jit(Recurrent(LSTM(UNITS, forget_bias=0.5)).init)(jax.random.key(0), x)["params"][
        "layer_0"
    ]
    np.testing.assert_array_equal(params["bias"], [0] * UNITS + [0.5] * UNITS + [0] * 2 * UNITS)
    gates = np.split(params["recurrent_kernel"], 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate.T @ gate, np.eye(UNITS), atol=1e-6)
    assert not np.allclose(gates[0], gates[1])
    assert params["kernel"].shape == (INPUTS, 4 * UNITS)


def test_types_and_carry():
    model = Recurrent(LSTM(UNITS), layers=2, dtype=jnp.bfloat16)
    carry = model.initial_carry((BATCH, INPUTS))
    kinds = {(a.shape, str(a.dtype)) for a in jax.tree.leaves(carry)}
    assert kinds == {((BATCH, UNITS), "float32")}
    (outputs, last), _ = jax.eval_shape(model.init_with_output, jax.random.key(0), X, carry)
    assert outputs.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves(last)} == {jnp.dtype("float32")}
    assert not any(np.any(a) for a in jax.tree.leaves(carry))
    # the engine donates its state, in which no buffer may stand twice
    jax.jit(lambda carry: jax.tree.map(lambda a: a + 1, carry), donate_argnums=0)(carry)


def test_input_matmul_is_outside_the_scan():
    """The recurrent matmul is inside: TIME times, beside one for the input."""
    model = Recurrent(LSTM(UNITS), backend="scan")
    params = model.init(jax.random.key(0), X)
    found = equations(jax.make_jaxpr(model.apply)(params, X).jaxpr)
    scanned = ["scan" in within for e, within in found if e.primitive.name == "dot_general"]
    assert sorted(scanned) == [False, True]


@pytest.mark.parametrize("coupled, gates", [(False, 4), (True, 3)])
def test_what_the_gradient_keeps(coupled, gates):
    """Of a step and unit: going forward y, h_{t-1}, a slope a gate, f_t and dh_t/dc_t; going back
    the gates' cotangents, once for the input and the recurrent matmul."""
    model = Recurrent(LSTM(UNITS, coupled=coupled))
    params = model.init(jax.random.key(0), X)

    def loss(params, x):
        return model.apply(params, x)[0].sum()

    jaxpr = jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(params, X).jaxpr
    scans = [e for e, _ in equations(jaxpr) if e.primitive.name == "scan"]
    results = [[v.aval for v in e.outvars] for e in scans]
    sizes = [sum(a.size for a in found if a.shape[:1] == (TIME,)) for found in results]
    assert sizes == [TIME * BATCH * UNITS * n for n in (gates + 4, gates)]
