"""The network and its gradients compared with plain loops, and thirty layers by their formulas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.demos import deep_mlp
from nets.demos.deep_mlp import DeepMLP, LayerStatistics
from nets.errors import UserError
from nets.tasks.task import Trained

SMALL = DeepMLP(depth=3, width=5, num_classes=4, activation=jnp.tanh)


def drawn(model=SMALL):
    """Random variables and a batch of six examples, the last of which is padding."""
    rng = np.random.default_rng(0)
    batch = {"inputs": rng.normal(size=(6, 2, 3)).astype(np.float32)}
    batch |= {"targets": rng.integers(0, 4, 6), "mask": np.float32([1] * 5 + [0])}
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), batch["inputs"])
    variables = jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape)), shapes)
    return variables, batch


def kernels(params):
    """Kernel and bias of each hidden layer."""
    layers = [params["first"]["dense"]]
    rest = params["rest"]["dense"]
    layers += [{k: a[i] for k, a in rest.items()} for i in range(len(rest["kernel"]))]
    return [(layer["kernel"], layer.get("bias", 0)) for layer in layers]


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_is_one_layer_after_the_other(batch_norm, shortcut):
    model = SMALL.clone(batch_norm=batch_norm, shortcut=shortcut)
    variables, batch = drawn(model)
    params = variables["params"]
    norms = [params["first"].get("norm")]
    norms += [jax.tree.map(lambda a, i=i: a[i], params["rest"].get("norm")) for i in range(2)]
    h, sums, outputs = batch["inputs"].reshape(6, -1), [], []
    for i, ((kernel, bias), norm) in enumerate(zip(kernels(params), norms, strict=True)):
        z = h @ kernel + bias
        if batch_norm:
            z = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) * norm["scale"] + norm["bias"]
        h = np.tanh(z) + (h if shortcut and i else 0)
        sums.append(z)
        outputs.append(h)
    logits = h @ params["output"]["kernel"] + params["output"]["bias"]
    (found, stages), _ = model.apply(
        variables, batch["inputs"], train=True, stages=True, mutable=["batch_stats"]
    )
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    close(found, logits)
    close(stages["sums"], sums)
    close(stages["outputs"], outputs)


def test_gradients_of_the_sums_are_backpropagated_by_hand():
    variables, batch = drawn()
    layers = jax.tree.map(np.asarray, deep_mlp.layers_of(SMALL, variables, batch, False))
    params, h = variables["params"], layers["outputs"]
    logits = h[-1] @ params["output"]["kernel"] + params["output"]["bias"]
    delta = np.asarray(jax.nn.softmax(logits)) - np.eye(4)[batch["targets"]]
    back = [params["output"]["kernel"]] + [k for k, _ in kernels(params)[:0:-1]]
    for gradient, output, kernel in zip(layers["gradient"][::-1], h[::-1], back, strict=True):
        delta = delta @ kernel.T * (1 - output**2)
        np.testing.assert_allclose(gradient, delta, rtol=1e-3, atol=1e-5)


def thirty(width, **fields):
    """Standard deviation [30] of the outputs of as many layers, before training, on as many
    standard normal inputs as units."""
    model = DeepMLP(width=width, num_classes=0, **fields)
    x = np.random.default_rng(0).normal(size=(20, width)).astype(np.float32)
    init = functools.partial(model.init_with_output, train=True, stages=True)
    (_, stages), _ = jax.jit(init)(jax.random.key(0), x)
    return np.asarray(stages["outputs"], np.float64).std((1, 2))


def test_thirty_layers_of_randn_by_100_leave_about_1e_15():
    """(sqrt(1000) / 100)^30 = 1e-15, for 1,000 units, in whose middle tanh is the identity."""
    outputs = thirty(1000, activation=jnp.tanh, kernel_init="small")
    assert 3e-16 < outputs[-1] < 1.5e-15
    np.testing.assert_allclose(outputs[1:] / outputs[:-1], np.full(29, 0.1**0.5), rtol=0.1)


def test_what_each_initialiser_does_to_thirty_layers():
    """The squared outputs of a ReLU grow per layer by n / 2 times the variance of a weight."""
    he, xavier = (thirty(200, kernel_init=name) for name in ("he_normal", "xavier_normal"))
    small = thirty(200, kernel_init="small")
    assert 0.2 < he[-1] < 5
    for outputs, factor in ((xavier, 0.5), (small, 200 / 2 * 1e-4)):
        ratio = (outputs[-1] / outputs[0]) ** (2 / 29)
        np.testing.assert_allclose(ratio, factor, rtol=0.15)
    turned = thirty(50, kernel_init="orthogonal", activation=lambda z: z)
    np.testing.assert_allclose(turned, np.ones(30), rtol=0.05)
    assert not thirty(200, kernel_init="zeros").any()
    shortcuts = thirty(200, shortcut=True)
    assert shortcuts[-1] > 1e3 * shortcuts[0]
    normalised = thirty(200, batch_norm=True, kernel_init="small")
    assert 0.4 < normalised.min() and normalised.max() < 0.8


@pytest.mark.parametrize("batch_norm", [False, True])
def test_sums_start_around_the_initial_bias(batch_norm):
    model = SMALL.clone(initial_bias=-7.0, batch_norm=batch_norm)
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    init = functools.partial(model.init_with_output, train=True, stages=True)
    (logits, stages), _ = jax.jit(init)(jax.random.key(0), x)
    np.testing.assert_allclose(stages["sums"].mean((1, 2)), np.full(3, -7.0), atol=2)
    assert np.abs(logits).max() < 5  # the output layer's bias is 0


@pytest.mark.parametrize(
    ("activation", "slope", "expected"),
    [
        (nn.sigmoid, 0.1, [1, 0, 0, 0]),  # a (1 - a), at most 0.25, is 0.011 and 0.018
        (jnp.tanh, 0.1, [1, 0, 0, 1]),
        (jnp.arctan, 0.1, [1, 0, 0, 0]),  # 1 / (1 + 4.5^2) = 0.047, 1 / (1 + 4^2) = 0.059
        (nn.relu, 0.1, [1, 1, 0, 0]),
        (nn.leaky_relu, 0.1, [0, 0, 0, 0]),
        (nn.leaky_relu, 0.01, [1, 1, 0, 0]),
    ],
)
def test_units_are_saturated_where_the_derivative_is_small(activation, slope, expected):
    f = DeepMLP(activation=activation, negative_slope=slope).nonlinearity()
    assert deep_mlp.saturated(f, jnp.array([-4.5, -1.0, 1.0, 4.0])).tolist() == expected


def test_the_slope_of_a_leaky_relu_is_a_field():
    f = DeepMLP(activation=nn.leaky_relu, negative_slope=0.25).nonlinearity()
    assert f(jnp.array([-2.0, 3.0])).tolist() == [-0.5, 3.0]


def test_metrics_of_an_evaluation_leave_out_padding():
    task, (variables, batch) = LayerStatistics(), drawn()
    layers = jax.tree.map(np.asarray, deep_mlp.layers_of(SMALL, variables, batch, False))
    outputs, sums, gradient = (
        layers[k][:, :5].astype(float) for k in ("outputs", "sums", "gradient")
    )
    _, metrics = task.test(SMALL, variables["params"], {}, batch, jax.random.key(0), False)
    found = task.finish(metrics, {}, None)
    expected = {
        "mean": outputs.mean(),
        "positive": (outputs > 0).mean(),
        "saturated": (1 - np.tanh(sums) ** 2 < 0.05).mean(),
        "gradient": np.abs(gradient[0]).mean(),
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-4)
    assert 0 < found["saturated"] < 1 and {"loss", "accuracy"} <= found.keys()


def test_the_end_of_a_run_is_drawn():
    task, (variables, batch) = LayerStatistics(initialisers=("zeros", "he_normal")), drawn()
    images = {**batch, "inputs": batch["inputs"][..., None]}
    _, metrics = task.test(SMALL, variables["params"], {}, images, jax.random.key(0), True)
    rows = jax.tree.map(np.asarray, metrics["predictions"].values)
    metrics["predictions"] = metrics["predictions"]._replace(values=rows, mask=None)
    metadata = {"class_names": list("abcd")}
    trained = Trained(SMALL, variables["params"], {}, metadata, None, None, jax.random.key(0))
    figures = task.figures(trained, [images], metrics, True)
    assert len(figures["layers"].panels) == 4
    assert list(figures["layers"].panels[0].curves) == ["before training", "after"]
    assert "saturated" in figures["layer_statistics"].text
    panels = figures["initialisers"].panels
    assert len(panels) == 6 and list(panels[0].curves) == ["zeros", "he_normal"]
    assert panels[0].curves["zeros"].tolist() == [0, 0, 0]
    assert len(figures["initialisers_table"].text.splitlines()) == 7


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"depth": 1}, "depth must be at least 2, got 1"), ({"width": 0}, "width must be at least 1")],
)
def test_impossible_settings_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(
            lambda: SMALL.clone(**fields).init(jax.random.key(0), jnp.ones((1, 2)), train=False)
        )


def test_another_network_is_refused():
    with pytest.raises(UserError, match="^model must be a DeepMLP, got Dense"):
        LayerStatistics().init(nn.Dense(3), jax.random.key(0), {"inputs": jnp.ones((1, 2))})
