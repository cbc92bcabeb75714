import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.lstm import LSTM, LSTMCarry

BATCH, TIME, INPUTS, UNITS = 3, 6, 5, 4


def random_params(seed=0, inputs=INPUTS, units=UNITS):
    rng = np.random.default_rng(seed)
    shapes = {
        "kernel": (inputs, 4 * units),
        "recurrent_kernel": (units, 4 * units),
        "bias": (4 * units,),
    }
    return {name: rng.normal(size=shape) * 0.5 for name, shape in shapes.items()}


def inputs(seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(BATCH, TIME, INPUTS))
    carry = LSTMCarry(rng.normal(size=(BATCH, UNITS)), np.tanh(rng.normal(size=(BATCH, UNITS))))
    return x, carry


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


apply = jax.jit(LSTM(UNITS).apply)


def run(params, x, carry=None, reset=None):
    return apply({"params": params}, x, carry, reset)


def assert_close(got, want, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_equals_numpy():
    params, (x, carry) = random_params(), inputs()
    outputs, last = run(params, x, carry)
    expected, c, h = numpy_lstm(params, x, *carry)
    assert_close((outputs, last.c, last.h), (expected, c, h))
    zeros = np.zeros((BATCH, UNITS))
    assert_close(run(params, x)[0], numpy_lstm(params, x, zeros, zeros)[0])


def test_reset_starts_rows_afresh():
    params, (x, carry) = random_params(), inputs()
    reset = np.array([True, False, True])
    c, h = (np.where(reset[:, None], 0, a) for a in carry)
    outputs, last = run(params, x, carry, reset)
    expected, c, h = numpy_lstm(params, x, c, h)
    assert_close((outputs, last.c, last.h), (expected, c, h))


def test_two_halves_equal_the_whole():
    params, (x, carry) = random_params(), inputs()
    whole, last = run(params, x, carry)
    first, middle = run(params, x[:, :2], carry)
    second, end = run(params, x[:, 2:], middle)
    assert_close((jnp.concatenate([first, second], 1), end), (whole, last), 1e-6)


def test_step_equals_the_whole():
    params, (x, carry) = random_params(), inputs()
    whole, last = run(params, x, carry)
    step = jax.jit(functools.partial(LSTM(UNITS).apply, method="step"))
    outputs = []
    for t in range(TIME):
        carry, h = step({"params": params}, carry, x[:, t])
        outputs.append(h)
    assert_close((jnp.stack(outputs, 1), carry), (whole, last), 1e-6)


def test_causality():
    params, (x, carry) = random_params(), inputs()
    jacobian = jax.jit(jax.jacobian(lambda x: run(params, x, carry)[0]))(x.astype(np.float32))
    depends = np.any(np.asarray(jacobian) != 0, axis=(2, 5))  # [B, T, B, T]
    expected = np.einsum("ab,st->asbt", np.eye(BATCH), np.tri(TIME)) > 0
    np.testing.assert_array_equal(depends, expected)


def test_gradient_equals_finite_differences():
    params, (x, carry) = random_params(), inputs()
    rng = np.random.default_rng(2)
    weights, direction = (
        jax.tree.map(lambda a: rng.normal(size=a.shape), tree)
        for tree in (numpy_lstm(params, x, *carry), (params, x, carry))
    )

    def value(result):
        return sum((w * r).sum() for w, r in zip(weights, result, strict=True))

    def numpy_value(size):
        moved = jax.tree.map(lambda a, d: a + size * d, (params, x, carry), direction)
        return value(numpy_lstm(moved[0], moved[1], *moved[2]))

    difference = (numpy_value(1e-5) - numpy_value(-1e-5)) / 2e-5
    with jax.enable_x64(True):
        model = LSTM(UNITS, dtype=jnp.float64, param_dtype=jnp.float64)

        def jax_value(params, x, carry):
            outputs, (c, h) = model.apply({"params": params}, x, carry)
            return value((outputs, c, h))

        gradient = jax.jit(jax.grad(jax_value, (0, 1, 2)))(params, x, carry)
        slope = sum(
            (g * d).sum()
            for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
        )
    np.testing.assert_allclose(slope, difference, rtol=1e-8)


def test_equals_torch():
    torch = pytest.importorskip("torch")
    params, (x, carry) = jax.tree.map(np.float32, (random_params(), inputs()))
    theirs = torch.nn.LSTM(INPUTS, UNITS, batch_first=True)  # gates i f g o, in rows
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.tensor(params["kernel"].T))
        theirs.weight_hh_l0.copy_(torch.tensor(params["recurrent_kernel"].T))
        theirs.bias_ih_l0.copy_(torch.tensor(params["bias"]))
        theirs.bias_hh_l0.zero_()
    x_torch = torch.tensor(x, requires_grad=True)
    expected, (h, c) = theirs(x_torch, tuple(torch.tensor(a)[None] for a in carry[::-1]))
    (expected.square().sum() + c.sum()).backward()

    def loss(params, x):
        outputs, last = run(params, x, carry)
        return jnp.square(outputs).sum() + last.c.sum(), (outputs, last)

    (gradient, x_gradient), (outputs, last) = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(
        params, x
    )
    want = expected.detach(), c[0].detach(), h[0].detach()
    assert_close((outputs, last.c, last.h), [a.numpy() for a in want])
    assert_close(x_gradient, x_torch.grad.numpy())
    assert_close(gradient["kernel"], theirs.weight_ih_l0.grad.numpy().T)
    assert_close(gradient["recurrent_kernel"], theirs.weight_hh_l0.grad.numpy().T)
    assert_close(gradient["bias"], theirs.bias_ih_l0.grad.numpy())


def test_initial_parameters():
    x = jnp.zeros((1, 1, INPUTS))
    params = jax.jit(LSTM(UNITS, forget_bias=0.5).init)(jax.random.key(0), x)["params"]
    np.testing.assert_array_equal(params["bias"], [0] * UNITS + [0.5] * UNITS + [0] * 2 * UNITS)
    gates = np.split(params["recurrent_kernel"], 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate.T @ gate, np.eye(UNITS), atol=1e-6)
    assert not np.allclose(gates[0], gates[1])
    assert params["kernel"].shape == (INPUTS, 4 * UNITS)


def test_types_and_carry():
    x, _ = inputs()
    model = LSTM(UNITS, dtype=jnp.bfloat16)
    carry = model.initial_carry(BATCH)
    assert {(a.shape, str(a.dtype)) for a in carry} == {((BATCH, UNITS), "float32")}
    (outputs, last), _ = jax.eval_shape(model.init_with_output, jax.random.key(0), x, carry)
    assert outputs.dtype == jnp.bfloat16 and last.c.dtype == last.h.dtype == jnp.float32
    assert not any(np.any(a) for a in carry)
    # the engine donates its state, in which no buffer may stand twice
    jax.jit(lambda carry: jax.tree.map(lambda a: a + 1, carry), donate_argnums=0)(carry)


def test_input_matmul_is_outside_the_scan():
    x, carry = inputs()
    jaxpr = jax.make_jaxpr(LSTM(UNITS).apply)({"params": random_params()}, x, carry)
    scan = next(e for e in jaxpr.jaxpr.eqns if e.primitive.name == "scan")
    inside = [e.primitive.name for e in scan.params["jaxpr"].jaxpr.eqns]
    outside = [e.primitive.name for e in jaxpr.jaxpr.eqns]
    assert inside.count("dot_general") == outside.count("dot_general") == 1
