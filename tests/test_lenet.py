import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.layers.conv_table import TableConv
from nets.lenet import (
    C3_TABLE,
    CODES,
    H2_TABLE,
    LeNet5,
    LeNet5Original,
    Subsampling,
    ZipNet,
    squash,
)

# Table I of the 1998 paper as it is printed: rows are the maps of S2, columns those of C3.
TABLE_I = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""
SEEN_BY_C3 = np.array([[c == "X" for c in line.split()] for line in TABLE_I.strip().split("\n")])


def init(model, *shape):
    return model.init(jax.random.key(0), jnp.zeros(shape), train=False)


def counts(model, *shape):
    params = jax.eval_shape(lambda: init(model, *shape))["params"]
    return {name: sum(a.size for a in jax.tree.leaves(layer)) for name, layer in params.items()}


def random_variables(model, *shape):
    """Parameters that hide nothing: no zero biases, no units near zero."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: init(model, *shape))
    return jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape) * 0.3), shapes)


def numpy_conv(x, kernel, stride=1):
    """x [H, W, C], kernel [5, 5, C, F], position by position."""
    side = (x.shape[0] - 5) // stride + 1
    y = np.zeros((side, side, kernel.shape[3]))
    for row in range(side):
        for column in range(side):
            patch = x[row * stride : row * stride + 5, column * stride : column * stride + 5]
            for feature in range(kernel.shape[3]):
                y[row, column, feature] = np.sum(patch * kernel[..., feature])
    return y


def numpy_pool(x, join):
    y = np.zeros((x.shape[0] // 2, x.shape[1] // 2, x.shape[2]))
    for row, column, feature in np.ndindex(y.shape):
        y[row, column, feature] = join(
            x[2 * row : 2 * row + 2, 2 * column : 2 * column + 2, feature]
        )
    return y


def numpy_squash(x):
    return 1.7159 * np.tanh(x * 2 / 3)


def assert_stages(model, variables, images, expected):
    """`expected` maps one image to its stages, the last of which is the result."""
    forward = jax.jit(functools.partial(model.apply, train=False, stages=True))
    result, stages = forward(variables, images)
    stages["result"] = result
    for i, image in enumerate(images):
        for name, value in expected(variables["params"], image).items():
            np.testing.assert_allclose(stages[name][i], value, rtol=1e-4, atol=1e-4, err_msg=name)
    assert result.dtype == jnp.float32


def dense(x, layer):
    return x @ layer["kernel"] + layer["bias"]


@pytest.mark.parametrize("pooling, join", [("average", np.mean), ("max", np.max)])
def test_lenet5_equals_numpy(pooling, join):
    model = LeNet5(num_classes=4, pooling=pooling, activation=jnp.sin)

    def expected(params, x):
        out = {}
        x = np.pad(x, ((2, 2), (2, 2), (0, 0)))
        out["C1"] = x = np.sin(numpy_conv(x, params["C1"]["kernel"]) + params["C1"]["bias"])
        out["S2"] = x = numpy_pool(x, join)
        out["C3"] = x = np.sin(numpy_conv(x, params["C3"]["kernel"]) + params["C3"]["bias"])
        out["S4"] = x = numpy_pool(x, join)
        out["C5"] = x = np.sin(dense(x.reshape(-1), params["C5"]))
        out["F6"] = x = np.sin(dense(x, params["F6"]))
        out["result"] = dense(x, params["output"])
        return out

    images = np.random.default_rng(0).normal(size=(2, 28, 28, 3)).astype(np.float32)
    variables = random_variables(model, 1, 28, 28, 3)
    assert_stages(model, variables, images, expected)
    framed = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    forward = jax.jit(functools.partial(model.apply, train=False))
    unframed = forward(variables, images)
    np.testing.assert_allclose(forward(variables, framed), unframed, rtol=1e-4, atol=1e-5)


def test_original_equals_numpy():
    model = LeNet5Original()

    def expected(params, x):
        out = {}
        x = np.pad(x, ((2, 2), (2, 2), (0, 0)), constant_values=x.min())
        out["C1"] = x = numpy_squash(numpy_conv(x, params["C1"]["kernel"]) + params["C1"]["bias"])
        s2, s4 = params["S2"], params["S4"]
        out["S2"] = x = numpy_squash(numpy_pool(x, np.sum) * s2["coefficient"] + s2["bias"])
        maps, kernels = [], iter(np.moveaxis(params["C3"]["kernel"], 2, 0))
        for c3, bias in enumerate(params["C3"]["bias"]):
            total = np.full((10, 10), bias)
            for s2 in range(6):
                if SEEN_BY_C3[s2, c3]:
                    total += numpy_conv(x[..., [s2]], next(kernels)[..., None, None])[..., 0]
            maps.append(total)
        out["C3"] = x = numpy_squash(np.stack(maps, axis=-1))
        out["S4"] = x = numpy_squash(numpy_pool(x, np.sum) * s4["coefficient"] + s4["bias"])
        out["C5"] = x = numpy_squash(dense(x.reshape(-1), params["C5"]))
        out["F6"] = x = numpy_squash(dense(x, params["F6"]))
        out["result"] = [sum((x[j] - code[j]) ** 2 for j in range(84)) for code in CODES]
        return out

    images = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype(np.float32)
    variables = random_variables(model, 1, 28, 28, 1)
    assert_stages(model, variables, images, expected)
    pads = ((2, 2), (2, 2), (0, 0))
    framed = np.stack([np.pad(image, pads, constant_values=image.min()) for image in images])
    forward = jax.jit(functools.partial(model.apply, train=False))
    unframed = forward(variables, images)
    np.testing.assert_allclose(forward(variables, framed), unframed, rtol=1e-5)


def test_zipnet_equals_numpy():
    model = ZipNet()
    pads = ((2, 2), (2, 2), (0, 0))

    def expected(params, x):
        out = {}
        x = np.pad(x, pads, constant_values=-1)
        h1, h2 = params["H1"], params["H2"]
        out["H1"] = x = numpy_squash(numpy_conv(x, h1["kernel"], 2) + h1["bias"])
        # Karpathy's wiring: three groups of four maps, each sees two of the three groups below
        x = np.pad(x, pads, constant_values=-1)
        first, second, third = x[..., :4], x[..., 4:8], x[..., 8:]
        pairs = (first, second), (second, third), (first, third)
        kernels = np.moveaxis(h2["kernel"].reshape(5, 5, 12, 8), 2, 3)
        maps = [
            numpy_conv(np.concatenate(pair, -1), kernels[..., 4 * i : 4 * i + 4], 2)
            for i, pair in enumerate(pairs)
        ]
        out["H2"] = x = numpy_squash(np.concatenate(maps, -1) + h2["bias"])
        out["H3"] = x = numpy_squash(dense(x.reshape(-1), params["H3"]))
        out["result"] = numpy_squash(dense(x, params["output"]))
        return out

    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 1)).astype(np.float32)
    assert_stages(model, random_variables(model, 1, 16, 16, 1), images, expected)


def test_zipnet_with_another_activation_has_logits_and_drops_units_of_h2():
    model = ZipNet(activation=jnp.sin, dropout=0.5)
    variables = random_variables(model, 2, 16, 16, 1)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 1)).astype(np.float32)
    forward = jax.jit(functools.partial(model.apply, stages=True), static_argnames="train")
    calm, stages = forward(variables, x, train=False)
    params = variables["params"]
    h2 = np.asarray(stages["H2"]).reshape(2, -1)
    h3 = np.sin(dense(h2, params["H3"]))
    np.testing.assert_allclose(stages["H3"], h3, atol=1e-5)
    np.testing.assert_allclose(calm, dense(h3, params["output"]), atol=1e-5)
    h1 = params["H1"]
    padded = np.pad(x[0], ((2, 2), (2, 2), (0, 0)), constant_values=-1)
    np.testing.assert_allclose(
        stages["H1"][0], np.sin(numpy_conv(padded, h1["kernel"], 2) + h1["bias"]), atol=1e-5
    )
    _, noisy = forward(variables, x, train=True, rngs={"dropout": jax.random.key(2)})
    np.testing.assert_allclose(noisy["H2"], stages["H2"])
    assert not np.allclose(noisy["H3"], stages["H3"])


def test_parameters():
    common = {"C1": 156, "C3": 2416, "C5": 48120, "F6": 10164, "output": 850}
    assert counts(LeNet5(), 1, 28, 28, 1) == counts(LeNet5(), 1, 32, 32, 1) == common
    assert sum(common.values()) == 61706
    original = {"C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48120, "F6": 10164}
    assert counts(LeNet5Original(), 1, 32, 32, 1) == original
    assert sum(original.values()) == 60000
    zipnet = {"H1": 1068, "H2": 2592, "H3": 5790, "output": 310}
    assert counts(ZipNet(), 1, 16, 16, 1) == zipnet
    assert sum(zipnet.values()) == 9760


def connections(layer, *shape):
    """Where all inputs, weights and biases are 1, a unit is its number of connections."""
    x = jnp.ones((1, *shape))
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
    ones = jax.tree.map(lambda a: jnp.ones(a.shape), shapes)
    return int(jax.jit(layer.apply)(ones, x).sum())


def test_connections():
    layers = {
        "C1": connections(TableConv(6), 32, 32, 1),
        "S2": connections(Subsampling(), 28, 28, 6),
        "C3": connections(TableConv(16, table=C3_TABLE), 14, 14, 6),
        "S4": connections(Subsampling(), 10, 10, 16),
        "C5": connections(nn.Dense(120), 400),
        "F6": connections(nn.Dense(84), 120),
    }
    published = {"C1": 122304, "S2": 5880, "C3": 151600, "S4": 2000, "C5": 48120, "F6": 10164}
    assert layers == published
    assert sum(layers.values()) + CODES.size == 340908

    h1 = TableConv(12, stride=2, unit_biases=True)
    h2 = TableConv(12, stride=2, unit_biases=True, table=H2_TABLE)
    layers = {
        "H1": connections(h1, 20, 20, 1),
        "H2": connections(h2, 12, 12, 12),
        "H3": connections(nn.Dense(30), 192),
        "output": connections(nn.Dense(10), 30),
    }
    assert layers == {"H1": 19968, "H2": 38592, "H3": 5790, "output": 310}
    assert sum(layers.values()) == 64660


def test_codes():
    assert CODES.shape == (10, 7 * 12)
    np.testing.assert_array_equal(np.abs(CODES), 1)
    differing = (CODES[:, None] != CODES[None]).sum(-1) + 99 * np.eye(10)
    assert differing.min() >= 12
    np.testing.assert_allclose(squash(CODES), CODES, rtol=1e-4)


def test_initial_weights_are_the_papers():
    inputs = {"S2": 4, "S4": 4, "C5": 400, "F6": 120, "H3": 192, "output": 30}
    inputs |= {"C1": 25, "H1": 25, "H2": 200, "C3": 25 * SEEN_BY_C3.sum(0)}
    models = (LeNet5Original(), 32), (ZipNet(), 16)
    for params in jax.jit(lambda: [init(m, 1, s, s, 1)["params"] for m, s in models])():
        for name, layer in params.items():
            for kind, values in layer.items():
                fan_in = np.asarray(inputs[name])
                if name == "C3" and kind == "kernel":
                    fan_in = np.repeat(fan_in, SEEN_BY_C3.sum(0))
                reach = np.abs(values) * np.broadcast_to(fan_in, values.shape) / 2.4
                assert reach.max() <= 1 + 1e-6, (name, kind)
                assert reach.max() > 0.9 or values.size < 20, (name, kind)


def test_dropout_acts_while_training():
    model = LeNet5(dropout=0.5)
    variables = random_variables(model, 1, 28, 28, 1)
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1))
    forward = jax.jit(functools.partial(model.apply, stages=True), static_argnames="train")
    quiet, calm = forward(variables, x, train=False)
    noisy, stages = forward(variables, x, train=True, rngs={"dropout": jax.random.key(2)})
    assert not np.allclose(quiet, noisy)
    np.testing.assert_allclose(calm["C5"], stages["C5"], rtol=1e-5)
    assert not np.allclose(calm["F6"], stages["F6"])


@pytest.mark.parametrize("model, side", [(LeNet5, 28), (LeNet5Original, 28), (ZipNet, 16)])
def test_types(model, side):
    x = jnp.zeros((2, side, side, 1))
    variables = jax.eval_shape(lambda: model().init(jax.random.key(0), x, train=False))
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    logits, stages = jax.eval_shape(
        lambda v: model(dtype=jnp.bfloat16).apply(v, x, train=False, stages=True), variables
    )
    assert logits.dtype == jnp.float32
    assert {a.dtype for a in stages.values()} == {jnp.dtype("bfloat16")}


@pytest.mark.parametrize(
    "model, shape, message",
    [
        (
            LeNet5(),
            (1, 8, 8, 1),
            r"LeNet5 takes .*28, 28, C\] or .*32, 32, C\], got \[1, 8, 8, 1\]",
        ),
        (LeNet5(), (1, 28, 32, 1), r"got \[1, 28, 32, 1\]"),
        (LeNet5(), (1, 28, 28), r"got \[1, 28, 28\]"),
        (LeNet5(pooling="mean"), (1, 28, 28, 1), "must be one of average, max, got 'mean'"),
        (LeNet5Original(), (1, 32, 32, 3), r"28, 28, 1\] or .*, got \[1, 32, 32, 3\]"),
        (LeNet5Original(num_classes=26), (1, 28, 28, 1), "num_classes must be 10, got 26"),
        (ZipNet(dropout=1.0), (1, 16, 16, 1), r"ZipNet.dropout must be .*, got 1.0"),
        (ZipNet(), (1, 28, 28, 1), r"ZipNet takes images \[B, 16, 16, 1\], got \[1, 28"),
    ],
)
def test_refusals(model, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: init(model, *shape))
