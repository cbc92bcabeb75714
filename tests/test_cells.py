"""Every cell and variant against the equations of its paper, step by step in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.conv_lstm import ConvLSTM
from nets.elman import Elman, Jordan, Trace
from nets.gru import GRU, MGU
from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_cell import tanh
from nets.lstm import LSTM

CELLS = {
    "lstm": LSTM(4),
    "lstm_peepholes": LSTM(4, peepholes=True),
    "lstm_coupled": LSTM(4, coupled=True),
    "lstm_projection": LSTM(4, projection=3),
    "lstm_layer_norm": LSTM(4, layer_norm=True),
    "lstm_coupled_peepholes": LSTM(4, coupled=True, peepholes=True),
    "lstm_peepholes_layer_norm": LSTM(4, peepholes=True, layer_norm=True),
    "lstm_all": LSTM(4, peepholes=True, coupled=True, projection=6, layer_norm=True, chrono=9),
    "gru": GRU(4),
    "gru_replace": GRU(4, update_gate="replace"),
    "gru_layer_norm": GRU(4, layer_norm=True),
    "gru_before": GRU(4, reset="before"),
    "gru_before_replace_layer_norm": GRU(4, "replace", "before", True),
    "mgu": MGU(4),
    "elman": Elman(4),
    "elman_relu_identity": Elman(4, nn.relu, identity=1.0),
    "elman_layer_norm": Elman(4, layer_norm=True),
    "jordan": Jordan(4, outputs=3, output_activation=nn.sigmoid),
    "jordan_relu": Jordan(4, activation=nn.relu),
    "trace": Trace(4, activation=nn.sigmoid),
    "conv_lstm": ConvLSTM(2, (3, 2)),
    "conv_lstm_peepholes": ConvLSTM(2, (1, 3), peepholes=True),
}
FUSABLE = {n for n in CELLS if n.startswith(("lstm", "gru", "elman"))} - {
    *("lstm_projection", "lstm_all", "gru_before", "gru_before_replace_layer_norm"),
}
BATCH, TIME = 2, 3


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {tanh: np.tanh, nn.sigmoid: sigmoid, nn.relu: lambda z: np.where(z.real > 0, z, 0)}


def norm(p, name, z):
    centred = z - z.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return centred / deviation * p[f"{name}_scale"] + p[f"{name}_bias"]


def lstm(cell, p, carry, x):
    c, h = carry
    x, h = x @ p["kernel"], h @ p["recurrent_kernel"]
    if cell.layer_norm:
        x, h = norm(p, "norm_x", x), norm(p, "norm_h", h)
    c, h = lstm_gates(p, c, x + h + p["bias"], cell.coupled, cell.layer_norm)
    if cell.projection:
        h = h @ p["projection"]
    return (c, h), h


def lstm_gates(p, c, a, coupled=False, layer_norm=False):
    *i, f, g, o = np.split(a, 3 if coupled else 4, axis=-1)
    v = p.get("peephole", np.zeros((3, 1)))
    f = sigmoid(f + v[-2] * c)
    i = 1 - f if coupled else sigmoid(i[0] + v[0] * c)
    c = f * c + i * np.tanh(g)
    o = sigmoid(o + v[-1] * c)
    return c, o * np.tanh(norm(p, "norm_c", c) if layer_norm else c)


def conv(x, kernel):
    height, width = kernel.shape[:2]
    above, left = (height - 1) // 2, (width - 1) // 2
    around = (0, 0), (above, height - 1 - above), (left, width - 1 - left), (0, 0)
    padded, y = np.pad(x, around), np.zeros((*x.shape[:3], kernel.shape[3]), complex)
    for i, j in np.ndindex(x.shape[1:3]):
        y[:, i, j] = np.tensordot(padded[:, i : i + height, j : j + width], kernel, axes=3)
    return y


def conv_lstm(cell, p, carry, x):
    a = conv(x, p["kernel"]) + conv(carry[1], p["recurrent_kernel"]) + p["bias"]
    c, h = lstm_gates(p, carry[0], a)
    return (c, h), h


def gru(cell, p, carry, x):
    (h,), at, after = carry, 2 * cell.features, cell.reset == "after"
    normal = functools.partial(norm, p) if cell.layer_norm else lambda name, a: a
    b, a = p.get("bias", np.zeros(3 * cell.features)), p.get("recurrent_bias", 0)
    (w_rz, w_n), (r_rz, r_n) = (
        np.split(p[name], [at], axis=1) for name in ("kernel", "recurrent_kernel")
    )
    rz = normal("norm_x_gates", x @ w_rz) + normal("norm_h_gates", h @ r_rz) + b[:at]
    r, z = np.split(sigmoid(rz), 2, axis=1)
    recurrent = normal("norm_h_candidate", (h if after else r * h) @ r_n)
    recurrent = r * (recurrent + a) if after else recurrent
    n = np.tanh(normal("norm_x_candidate", x @ w_n) + b[at:] + recurrent)
    h = z * h + (1 - z) * n if cell.update_gate == "keep" else (1 - z) * h + z * n
    return (h,), h


def mgu(cell, p, carry, x):
    (h,) = carry
    (w_f, w_n), (r_f, r_n), (b_f, b_n) = (
        np.split(p[name], 2, axis=-1) for name in ("kernel", "recurrent_kernel", "bias")
    )
    f = sigmoid(x @ w_f + h @ r_f + b_f)
    n = np.tanh(x @ w_n + (f * h) @ r_n + b_n)
    h = (1 - f) * h + f * n
    return (h,), h


def elman(cell, p, carry, x):
    a = x @ p["kernel"] + carry[0] @ p["recurrent_kernel"]
    h = ACTIVATIONS[cell.activation](norm(p, "norm", a) if cell.layer_norm else a + p["bias"])
    return (h,), h


def jordan(cell, p, carry, x):
    hidden = x @ p["kernel"] + carry[0] @ p["recurrent_kernel"] + p["bias"]
    output = ACTIVATIONS[cell.activation](hidden) @ p["output_kernel"] + p["output_bias"]
    y = ACTIVATIONS[cell.output_activation](output)
    return (y,), y


def trace(cell, p, carry, x):
    mu = sigmoid(p["decay"])
    s = mu * carry[0] + (1 - mu) * x
    return (s,), ACTIVATIONS[cell.activation](s @ p["kernel"] + p["bias"])


STEPS = {
    **{LSTM: lstm, ConvLSTM: conv_lstm, GRU: gru, MGU: mgu},
    **{Elman: elman, Jordan: jordan, Trace: trace},
}


def in_numpy(cell, params, x, carry):
    """Outputs [B, T, ...] and the last carry."""
    outputs = []
    for t in range(TIME):
        carry, y = STEPS[type(cell)](cell, params, carry, x[:, t])
        outputs.append(y)
    return np.stack(outputs, axis=1), carry


def in_jax(cell, params, x, carry, **options):
    model = Recurrent(cell, dtype=x.dtype, param_dtype=x.dtype, **options)
    outputs, ((last,),) = model.apply({"params": {"layer_0": params}}, x, ((carry,),))
    return outputs, *last


def drawn(cell):
    """Random parameters, inputs and carry."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, TIME, *((4, 3, 2) if isinstance(cell, ConvLSTM) else (5,))))
    model = Recurrent(cell)
    params = jax.eval_shape(model.init, jax.random.key(0), x)["params"]["layer_0"]
    ((carry,),) = jax.eval_shape(lambda: model.initial_carry((BATCH, *x.shape[2:])))
    random = functools.partial(jax.tree.map, lambda a: rng.normal(size=a.shape) * 0.8)
    return random(params), x, random(carry)


@pytest.mark.parametrize("name", CELLS)
def test_equals_numpy(name):
    cell, rng = CELLS[name], np.random.default_rng(1)
    params, x, carry = given = drawn(cell)
    expected = [np.real(a) for a in jax.tree.leaves(in_numpy(cell, *given))]
    cotangents = [rng.normal(size=a.shape) for a in expected]

    def value(params, x, carry, backend):
        results = in_jax(cell, params, x, carry, backend=backend)
        return sum((a * b).sum() for a, b in zip(results, cotangents, strict=True)), results

    differentiated = jax.value_and_grad(value, argnums=(0, 1, 2), has_aux=True)
    backends = ("scan", "fused") if cell.fusable else ("scan",)
    with jax.enable_x64(True):
        compiled = jax.jit(lambda *given: [differentiated(*given, b) for b in backends])
        by_backend = jax.device_get(compiled(*given))
    for (_, results), _ in by_backend:
        for got, want in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)

    def derivative(index, direction):  # by a complex step, exact to rounding
        moved = jax.tree.leaves(given)
        moved[index] = moved[index] + 1e-30j * direction
        results = in_numpy(cell, *jax.tree.unflatten(jax.tree.structure(given), moved))
        pairs = zip(jax.tree.leaves(results), cotangents, strict=True)
        return sum((a * b).sum() for a, b in pairs).imag / 1e-30

    for _, gradients in by_backend:
        for i, gradient in enumerate(jax.tree.leaves(gradients)):
            direction = rng.normal(size=gradient.shape)
            slope = (gradient * direction).sum()
            np.testing.assert_allclose(slope, derivative(i, direction), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CELLS)
def test_step_equals_numpy(name):
    cell = CELLS[name]
    params, x, carry = drawn(cell)
    expected, last = in_numpy(cell, params, x, carry)
    with jax.enable_x64(True):
        model = Recurrent(cell, dtype=x.dtype, param_dtype=x.dtype)
        step = jax.jit(
            functools.partial(model.apply, {"params": {"layer_0": params}}, method="step")
        )
        carry = ((carry,),)
        for t in range(TIME):
            carry, y = step(carry, x[:, t])
            np.testing.assert_allclose(y, expected[:, t].real, rtol=1e-12, atol=1e-12)
        for got, want in zip(carry[0][0], last, strict=True):
            np.testing.assert_allclose(got, want.real, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_backends(name):
    cell = CELLS[name]
    assert cell.fusable == (name in FUSABLE)
    assert cell.cudnn == (name == "lstm")
    if not cell.fusable:
        model, x = Recurrent(cell, backend="fused"), drawn(cell)[1]
        with pytest.raises(ValueError, match=f"'fused'.*{type(cell).__name__}"):
            jax.eval_shape(model.init, jax.random.key(0), x)


@pytest.mark.parametrize("name", CELLS)
def test_computes_in_bfloat16_and_keeps_float32(name):
    cell = CELLS[name]
    _, x, _ = drawn(cell)
    model = Recurrent(cell, layers=2, dtype=jnp.bfloat16)
    (outputs, carry), variables = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    assert outputs.dtype == jnp.bfloat16 and outputs.shape[-1] == cell.output_features
    assert {a.dtype for a in jax.tree.leaves((carry, variables))} == {jnp.dtype("float32")}


@pytest.mark.xla
def test_conv_lstm_has_no_convolution_in_its_scan_on_a_cpu():
    model, x = Recurrent(ConvLSTM(2)), jnp.zeros((1, 3, 4, 4, 1))
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    traced = jax.jit(model.apply).trace(variables, x)
    for platform, convolutions, matmuls in (("cpu", 1, 1), ("cuda", 2, 0)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.convolution") == convolutions
        assert text.count("stablehlo.dot_general") == matmuls


def test_traces_keep_long_memories_in_bfloat16():
    params = {"decay": np.array([7.0]), "kernel": np.eye(1), "bias": np.zeros(1)}
    x = jnp.ones((1, 2, 1), jnp.bfloat16)
    model = Recurrent(Trace(1), dtype=jnp.bfloat16)
    _, ((carry,),) = model.apply({"params": {"layer_0": params}}, x)
    np.testing.assert_allclose(carry.s, 1 - sigmoid(7.0) ** 2, rtol=1e-3)
