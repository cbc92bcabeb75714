"""What the lectures print, computed by the layers: convolution and pooling by hand, sizes, counts.

Lectures on convolutional and recurrent networks; each test says what is printed there.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.alexnet import AlexNetOriginal
from nets.connectivity import Connected
from nets.conv_scheme import ConvScheme
from nets.elman import Elman
from nets.gru import GRU
from nets.inspect.receptive_field import receptive_field
from nets.layers.conv import Conv, convolve
from nets.layers.conv_local import LocallyConnected
from nets.layers.conv_windows import output_size
from nets.layers.filters import apply_filter
from nets.layers.pooling import max_pool
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM
from nets.sequence import ManyToMany


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def valid(x, kernel):
    """One channel of x [*spatial] by kernel [*window], without padding."""
    y = apply_filter(jnp.asarray(x, jnp.float32)[None, ..., None], np.array(kernel), "VALID")
    return y[0, ..., 0]


def parameters(layer, *shape):
    """The shapes of a layer's parameters for x of this shape."""
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    options = {"train": False} if isinstance(layer, (ConvScheme, Connected)) else {}
    init = functools.partial(layer.init, **options)
    return jax.eval_shape(init, jax.random.key(0), x)["params"]


def size(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def shape_of(layer, *shape):
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    if isinstance(layer, nn.Module):
        return jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0].shape
    return jax.eval_shape(layer, x).shape


def test_in_one_dimension_11100_by_101_is_211():
    assert valid([1, 1, 1, 0, 0], [1, 0, 1]).tolist() == [2, 1, 1]


def test_4_times_1_and_5_times_2_and_6_times_3_are_32_and_the_maximum_is_6():
    x = jnp.array([4.0, 5.0, 6.0])
    assert valid(x, [1, 2, 3]).tolist() == [32]
    assert max_pool(x[None, :, None], 3).tolist() == [[[6.0]]]


def test_a_binary_image_of_5x5_by_the_filter_x_is_434_243_234():
    image = ["11100", "01110", "00111", "00110", "01100"]
    image = [[int(pixel) for pixel in row] for row in image]
    cross = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert valid(image, cross).tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


def test_a_stamp_over_one_map_is_1_44_over_two_2_14_over_a_line_1_23():
    """A stamp is the sum of the products at one position: the same in a volume of two slices as
    in two channels. The lecture's sums; the numbers under its stamps are chosen here."""
    maps = np.float32([[[0.5, 0.2], [0.9, 0.4]], [[0.3, 0.6], [0.1, 0.8]]])
    stamp = np.float32([[[0.6, 0.3], [1.0, 0.45]], [[0.2, 0.5], [0.2, 0.4]]])
    by_hand = [0.5 * 0.6 + 0.2 * 0.3 + 0.9 * 1.0 + 0.4 * 0.45]
    by_hand.append(by_hand[0] + 0.3 * 0.2 + 0.6 * 0.5 + 0.1 * 0.2 + 0.8 * 0.4)
    np.testing.assert_allclose(by_hand, [1.44, 2.14], rtol=1e-9)
    np.testing.assert_allclose(valid(maps[0], stamp[0]), [[1.44]], rtol=1e-6)
    np.testing.assert_allclose(valid(maps, stamp), [[[2.14]]], rtol=1e-6)
    channels, kernel = np.moveaxis(maps, 0, -1), np.moveaxis(stamp, 0, -1)
    y = convolve(channels[None], kernel[..., None], padding="VALID")
    np.testing.assert_allclose(y, [[[[2.14]]]], rtol=1e-6)
    np.testing.assert_allclose(valid([0.5, 0.9, 0.2], [0.6, 1.0, 0.15]), [1.23], rtol=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_convolution_is_correlation_if_the_filter_is_symmetric(axes, rng):
    x = rng.normal(size=(1, *(6,) * axes, 1)).astype(np.float32)
    kernel = rng.normal(size=(3,) * axes).astype(np.float32)
    symmetric = kernel + np.flip(kernel)
    for filter_, same in ((symmetric, True), (kernel, False)):
        params = {"params": {"kernel": filter_[..., None, None]}}
        correlated, convolved = (
            Conv(1, (3,) * axes, use_bias=False, flip=flip).apply(params, x)
            for flip in (False, True)
        )
        assert np.allclose(correlated, convolved, atol=1e-5) == same


def test_a_fully_connected_layer_is_a_convolution_by_1x1(rng):
    """And, of flattened maps, a convolution by a window as large as they are."""
    x = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    kernel, bias = (rng.normal(size=s).astype(np.float32) for s in ((3, 7), (7,)))
    dense = nn.Dense(7).apply({"params": {"kernel": kernel, "bias": bias}}, x)
    params = {"kernel": kernel[None, None], "bias": bias}
    np.testing.assert_allclose(Conv(7, (1, 1)).apply({"params": params}, x), dense, rtol=1e-5)
    kernel = rng.normal(size=(60, 7)).astype(np.float32)
    params = {"kernel": kernel.reshape(5, 4, 3, 7), "bias": bias}
    y = Conv(7, (5, 4), padding="VALID").apply({"params": params}, x)
    flat = nn.Dense(7).apply({"params": {"kernel": kernel, "bias": bias}}, x.reshape(2, 60))
    np.testing.assert_allclose(y[:, 0, 0], flat, rtol=1e-4, atol=1e-4)


def test_linear_layers_merge_into_one_of_weights_wv(rng):
    """V^T (W^T x) is (WV)^T x, the columns of W and V being units; of convolutions too."""
    x, w, v = (rng.normal(size=s).astype(np.float32) for s in ((6, 5), (5, 8), (8, 3)))
    layers = nn.Sequential([nn.Dense(8, use_bias=False), nn.Dense(3, use_bias=False)])
    params = {"layers_0": {"kernel": w}, "layers_1": {"kernel": v}}
    y = layers.apply({"params": params}, x)
    np.testing.assert_allclose(y, x @ (w @ v), rtol=1e-4, atol=1e-4)
    x = jnp.asarray(rng.normal(size=(1, 9, 1)), jnp.float32)
    one, two = (jnp.asarray(rng.normal(size=(3, 1, 1)), jnp.float32) for _ in range(2))
    twice = convolve(convolve(x, one, padding="VALID"), two, padding="VALID")
    merged = np.convolve(one.ravel(), two.ravel()).astype(np.float32)
    np.testing.assert_allclose(
        twice, convolve(x, merged[:, None, None], padding="VALID"), atol=1e-5
    )


def test_100_to_98_by_3x3_and_to_33_by_a_maximum_of_3x3_without_overlap():
    assert shape_of(Conv(1, (3, 3), padding="VALID"), 1, 100, 100, 1) == (1, 98, 98, 1)
    pool = functools.partial(max_pool, window=3, ceil=True)
    assert shape_of(pool, 1, 98, 98, 1) == (1, 33, 33, 1)
    assert output_size(100, 3) == 98 and math.ceil(98 / 3) == 33


def test_27_to_14_by_pooling():
    pool = functools.partial(max_pool, window=2, ceil=True)
    assert shape_of(pool, 1, 27, 27, 6) == (1, 14, 14, 6)
    assert shape_of(functools.partial(max_pool, window=3, strides=2, padding=1), 1, 27, 1) == (
        *(1, 14, 1),
    )


def test_32x32x3_by_ten_5x5_padded_by_2_is_32x32x10_of_760_parameters():
    layer = Conv(10, (5, 5), padding=2)
    assert shape_of(layer, 1, 32, 32, 3) == (1, 32, 32, 10)
    assert size(parameters(layer, 1, 32, 32, 3)) == 760
    assert output_size(32, 5, 1, (2, 2)) == (32 - 5 + 2 * 2) / 1 + 1 == 32


def test_six_filters_of_5x5_make_28x28x6_of_32x32x3():
    assert shape_of(Conv(6, (5, 5), padding="VALID"), 1, 32, 32, 3) == (1, 28, 28, 6)


def test_alexnets_volumes_are_227_55_27_27_13_and_its_first_filters_34848_weights():
    images = jax.ShapeDtypeStruct((1, 227, 227, 3), jnp.float32)
    run = functools.partial(
        AlexNetOriginal(num_classes=1000).init_with_output, train=False, stages=True
    )
    (_, stages), variables = jax.eval_shape(run, jax.random.key(0), images)
    volumes = [images.shape[1:]]
    volumes += [stages[k].shape[1:] for k in ("conv1", "pool1", "conv2", "pool2")]
    assert volumes == [(227, 227, 3), (55, 55, 96), (27, 27, 96), (27, 27, 256), (13, 13, 256)]
    assert size(variables["params"]["conv1"]["kernel"]) == 11 * 11 * 3 * 96 == 34_848
    assert output_size(227, 11, 4) == (227 - 11) / 4 + 1 == 55


def test_three_3x3_see_7x7_as_one_does_with_27_instead_of_49_weights_a_pair_of_channels():
    c = 5
    three = nn.Sequential([Conv(c, (3, 3), use_bias=False) for _ in range(3)])
    seen = {}
    for name, layers in (("three", three), ("one", Conv(c, (7, 7), use_bias=False))):
        variables, x = parameters(layers, 1, 16, 16, c), jnp.zeros((1, 16, 16, c))
        run = jax.make_jaxpr(lambda v, x, m=layers: m.apply({"params": v}, x))(variables, x)
        field, _ = receptive_field(run, len(jax.tree.leaves(variables)))
        seen[name] = (field, size(variables))
    assert seen == {"three": ([7, 7], 27 * c**2), "one": ([7, 7], 49 * c**2)}


def test_an_image_of_200x200_has_16_billion_full_and_40_million_local_weights():
    """Of 400,000 hidden units, 10 at each pixel; a local one sees 10x10 pixels."""
    fields = {"features": (10, 1), "window": 10, "strides": (1, 1), "num_classes": 10}
    full, local = (
        parameters(Connected(connection, **fields), 1, 200, 200, 1)["maps1"]["kernel"]
        for connection in ("full", "local")
    )
    assert size(full) == 16_000_000_000
    assert size(local) == 40_000_000


@pytest.mark.parametrize("n", [4, 9])
def test_a_line_of_n_units_has_n_squared_3n_less_2_or_3_weights(n, rng):
    """Full, local and shared connections from n to n units. The two outer units of the local
    layer see one position of padding each, whose weights take part in nothing: not counted."""
    x = jnp.asarray(rng.normal(size=(1, n, 1)), jnp.float32)
    local = LocallyConnected(1, (3,), use_bias=False)

    def effective(kernel):
        return local.apply({"params": {"kernel": kernel}}, x).sum()

    gradient = jax.grad(effective)(jnp.zeros(parameters(local, *x.shape)["kernel"].shape))
    assert size(parameters(nn.Dense(n, use_bias=False), 1, n)) == n**2
    assert np.count_nonzero(gradient) == 3 * n - 2
    assert size(parameters(Conv(1, (3,), use_bias=False), *x.shape)) == 3


def test_the_net_of_pytorchs_tutorial_has_81194_parameters_and_torchs_logits(rng):
    """Convolutions by 3x3 of 6 and 16 maps, each with a ReLU and a maximum of 2x2, then 120, 84 and
    10 units; grey images of 32x32."""
    torch = pytest.importorskip("torch")
    layers = torch.nn
    net = layers.Sequential(
        *(layers.Conv2d(1, 6, 3), layers.ReLU(), layers.MaxPool2d(2)),
        *(layers.Conv2d(6, 16, 3), layers.ReLU(), layers.MaxPool2d(2), layers.Flatten()),
        *(layers.Linear(16 * 6 * 6, 120), layers.ReLU(), layers.Linear(120, 84), layers.ReLU()),
        layers.Linear(84, 10),
    )
    assert sum(p.numel() for p in net.parameters()) == 81_194
    params = {}
    for name, i in {"conv1_1": 0, "conv2_1": 3, "fc1": 7, "fc2": 9, "output": 11}.items():
        kernel, bias = (a.detach().numpy() for a in (net[i].weight, net[i].bias))
        if name == "fc1":  # torch flattens channels, rows, columns
            kernel = kernel.reshape(120, 16, 6, 6).transpose(0, 2, 3, 1).reshape(120, 576)
        kernel = kernel.T if kernel.ndim == 2 else kernel.transpose(2, 3, 1, 0)
        params[name] = {"kernel": kernel, "bias": bias}
    model = ConvScheme((6, 16), padded=False, hidden=(120, 84), num_classes=10)
    assert size(parameters(model, 1, 32, 32, 1)) == 81_194
    x = rng.normal(size=(3, 32, 32, 1)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
    logits = jax.jit(functools.partial(model.apply, train=False))({"params": params}, x)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", [Elman(4), GRU(4), LSTM(4)], ids=lambda c: type(c).__name__)
def test_a_recurrent_net_at_once_is_that_of_step_by_step(cell, rng):
    layer, x = Recurrent(cell), rng.normal(size=(2, 5, 3)).astype(np.float32)
    variables = jax.jit(layer.init)(jax.random.key(0), x)
    outputs, last = jax.jit(layer.apply)(variables, x)
    step = jax.jit(functools.partial(layer.apply, method="step"))
    carry = layer.initial_carry((2, 3))
    for t in range(5):
        carry, y = step(variables, carry, x[:, t])
        np.testing.assert_allclose(y, outputs[:, t], rtol=1e-5, atol=1e-6)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), carry, last)


def test_sums_of_dv_dw_du_over_steps_and_sequences_are_the_gradient(rng):
    """h_t = tanh(U x_t + W h_{t-1}), y_t = V h_t, squared error E = 1/2 sum |y_t - d_t|^2:

    delta_t = (V^T (y_t - d_t) + W^T delta_{t+1}) * (1 - h_t^2), and dV = sum (y_t - d_t) h_t^T,
    dW = sum delta_t h_{t-1}^T, dU = sum delta_t x_t^T, over the steps of all sequences.
    """
    inputs, units, outputs, steps = 3, 4, 2, 6
    shapes = {"U": (units, inputs), "W": (units, units), "V": (outputs, units)}
    weights = {name: 0.5 * rng.normal(size=shape) for name, shape in shapes.items()}
    x, d = rng.normal(size=(5, steps, inputs)), rng.normal(size=(5, steps, outputs))
    sums, error = {name: np.zeros(shape) for name, shape in shapes.items()}, 0.0
    for one, wanted in zip(x, d, strict=True):
        h = [np.zeros(units)]
        for t in range(steps):
            h.append(np.tanh(weights["U"] @ one[t] + weights["W"] @ h[-1]))
        delta = np.zeros(units)
        for t in reversed(range(steps)):
            difference = weights["V"] @ h[t + 1] - wanted[t]
            delta = weights["V"].T @ difference + weights["W"].T @ delta
            delta *= 1 - h[t + 1] ** 2
            sums["V"] += np.outer(difference, h[t + 1])
            sums["W"] += np.outer(delta, h[t])
            sums["U"] += np.outer(delta, one[t])
            error += difference @ difference / 2
    with jax.enable_x64(True):
        dtypes = {"dtype": jnp.float64, "param_dtype": jnp.float64}
        model = ManyToMany(num_classes=outputs, cell=Elman(units), **dtypes)

        def loss(weights):
            u, w, v = (jnp.asarray(weights[name]).T for name in "UWV")
            cell = {"kernel": u, "recurrent_kernel": w, "bias": jnp.zeros(units)}
            head = {"kernel": v, "bias": jnp.zeros(outputs)}
            params = {"recurrent": {"layer_0": cell}, "output": head}
            y, _ = model.apply({"params": params}, jnp.asarray(x), train=False)
            return jnp.square(y - d).sum() / 2

        value, gradient = jax.jit(jax.value_and_grad(loss))(weights)
        assert float(value) == pytest.approx(error, rel=1e-12)
        for name in weights:
            np.testing.assert_allclose(gradient[name], sums[name], rtol=1e-9, atol=1e-11)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("update_gate", ["keep", "replace"])
def test_a_gru_is_as_printed(update_gate, rng):
    """r = s(W_r x + U_r h), z = s(W_z x + U_z h), n = tanh(W x + U (r * h)); the next h is
    z * h + (1 - z) * n (Cho et al.), or (1 - z) * h + z * n (Chung et al.)."""
    w, u, b = (rng.normal(size=s) for s in ((3, 12), (4, 12), (12,)))
    x, h = rng.normal(size=(2, 3)), rng.normal(size=(2, 4))
    (w_r, w_z, w_n), (u_r, u_z, u_n) = np.split(w, 3, 1), np.split(u, 3, 1)
    b_r, b_z, b_n = np.split(b, 3)
    r, z = sigmoid(x @ w_r + h @ u_r + b_r), sigmoid(x @ w_z + h @ u_z + b_z)
    n = np.tanh(x @ w_n + (r * h) @ u_n + b_n)
    printed = z * h + (1 - z) * n if update_gate == "keep" else (1 - z) * h + z * n
    cell = {"kernel": w, "recurrent_kernel": u, "bias": b}
    layer = Recurrent(GRU(4, reset="before", update_gate=update_gate))
    assert_step(layer, cell, x, (h,), printed)


def test_an_lstm_with_peepholes_is_as_printed(rng):
    """i = s(W_i x + R_i h + p_i * c), f likewise, c' = f * c + i * tanh(W_c x + R_c h),
    o = s(W_o x + R_o h + p_o * c'), h' = o * tanh(c') (Graves 2013, equations 7 to 11)."""
    w, r, b, p = (rng.normal(size=s) for s in ((3, 16), (4, 16), (16,), (3, 4)))
    x, c, h = rng.normal(size=(2, 3)), rng.normal(size=(2, 4)), rng.normal(size=(2, 4))
    a_i, a_f, a_g, a_o = np.split(x @ w + h @ r + b, 4, axis=1)
    i, f = sigmoid(a_i + p[0] * c), sigmoid(a_f + p[1] * c)
    after = f * c + i * np.tanh(a_g)
    printed = sigmoid(a_o + p[2] * after) * np.tanh(after)
    cell = {"kernel": w, "recurrent_kernel": r, "bias": b, "peephole": p}
    assert_step(Recurrent(LSTM(4, peepholes=True)), cell, x, (c, h), printed)


def assert_step(layer, cell, x, carry, printed):
    """One step from a carry, in float64, gives what is printed."""
    with jax.enable_x64(True):
        double = layer.clone(dtype=jnp.float64, param_dtype=jnp.float64)
        variables = {"params": {"layer_0": jax.tree.map(jnp.asarray, cell)}}
        structure = jax.tree.structure(double.initial_carry(x.shape))
        start = jax.tree.unflatten(structure, map(jnp.asarray, carry))
        y, _ = jax.jit(double.apply)(variables, jnp.asarray(x)[:, None], start)
        np.testing.assert_allclose(y[:, 0], printed, rtol=1e-12)
